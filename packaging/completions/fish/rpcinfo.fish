complete -c rpcinfo -s n -d 'Use this port for -t and -u instead of asking the port mapper' -r
complete -c rpcinfo -s T -d 'Use this transport: udp, tcp, udp6, tcp6, local' -r
complete -c rpcinfo -s a -d 'Call procedure 0 of a service at this universal address, without asking the port mapper' -r
complete -c rpcinfo -l timeout -d 'Wait this long at most for each thing, instead of 60 s for lists and look-ups, 10 s for services, 12 s for all that answer a broadcast and 2 s for each answer to an audit' -r
complete -c rpcinfo -s p -d 'List the rows of version 2: programs, versions, protocols, ports'
complete -c rpcinfo -s s -d 'List one line a program: its versions, its transports, its owner'
complete -c rpcinfo -s m -d 'Show how often the port mapper was asked what'
complete -c rpcinfo -s l -d 'List the addresses of a service on all transports of the family over which the port mapper is asked'
complete -c rpcinfo -s u -d 'Call procedure 0 of a service over UDP'
complete -c rpcinfo -s t -d 'Call procedure 0 of a service over TCP'
complete -c rpcinfo -s b -d 'Call procedure 0 of a service on all hosts of the networks here, by IPv4 broadcast and IPv6 multicast, and list those that answer, each address once'
complete -c rpcinfo -s d -d 'Unregister a service of this host, on all transports or on one'
complete -c rpcinfo -l json -d 'Print one JSON document instead of text'
complete -c rpcinfo -l help -d 'Print this help'
complete -c rpcinfo -l version -d 'Print the version'
