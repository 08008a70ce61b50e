"""Machines that are reached by SSH, through the programs of OpenSSH."""
