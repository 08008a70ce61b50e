"""What `omniduct.duct.Duct` is made of, one idea a file.

lifecycle   its states, and the attempts to change them that threads share
status      what the world may observe of them
fields      host, port, remote, username, password: prepared when read, disconnecting when changed
endpoints   hosts and ports: what was configured, what is used, and whether something answers there
arguments   what constructors take
copies      pickle, copy and deepcopy: disconnected, and without secrets
failures    errors for people, from errors of drivers
cleanup     the end: of the process, of a forked child, of a duct that nobody holds
"""
