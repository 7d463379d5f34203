complete -c rpcbind -s h -l listen -d 'Serve UDP and TCP at this address only, and at loopback; may be repeated' -r
complete -c rpcbind -l import -d 'Have the next rpcbind start with what rpcbind.xdr and portmap.xdr in this directory list, and exit' -r -F
complete -c rpcbind -l export -d 'Write what is registered to rpcbind.xdr and portmap.xdr in this directory, and exit' -r -F
complete -c rpcbind -l config -d 'Read this configuration file; it must exist' -r -F
complete -c rpcbind -l port -d 'Serve the port mapper at this port instead of 111; 0: at any' -r
complete -c rpcbind -l socket -d 'Open the unix socket at this path; empty: none' -r -F
complete -c rpcbind -l abstract-socket -d 'Open the abstract unix socket with this name, which begins with @; empty: none' -r
complete -c rpcbind -s a -l abort -d 'With -d: abort with a core dump on an internal error'
complete -c rpcbind -s d -l debug -d 'Print debugging output to standard error; twice: more'
complete -c rpcbind -s f -l foreground -d 'Stay in the foreground'
complete -c rpcbind -s i -l insecure -d 'Let callers on any host register and unregister programs over TCP'
complete -c rpcbind -s l -l log-connections -d 'Log each call over UDP and TCP'
complete -c rpcbind -s r -l remote-calls -d 'Call services of this host for others (CALLIT, BCAST, INDIRECT)'
complete -c rpcbind -s s -l daemon-user -d 'Run as user daemon'
complete -c rpcbind -s w -l warm-start -d 'Accepted for command lines of Debian\'s daemon; this one always starts with what the last one left'
complete -c rpcbind -l adopt -d 'Take over from the rpcbind that runs: read its registrations, wait for its end, and start'
complete -c rpcbind -l check -d 'Check configuration and hosts files, print all that is wrong, and exit'
complete -c rpcbind -l self-test -d 'Show that the confined daemon is refused what it has no use for, and exit'
complete -c rpcbind -l require-sandbox -d 'Do not start where the system cannot confine the daemon'
complete -c rpcbind -l open-missing -d 'Open the UDP and TCP sockets that were not inherited'
complete -c rpcbind -l allow-partial -d 'Run although a socket cannot be opened'
complete -c rpcbind -l help -d 'Print this help'
complete -c rpcbind -l version -d 'Print the version'
