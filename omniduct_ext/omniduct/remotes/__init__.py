"""Remotes: machines through which services are reached, and whose commands and files one uses."""
