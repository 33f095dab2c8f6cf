# Completion of svctl for fish: operations, options, and the names of services from svctl itself.

function __svctl_services
    # With the directories of this command line, if it names any.
    set -l words (commandline -opc)
    set -l places
    for i in (seq (count $words))
        if contains -- $words[$i] -d -r --sysdir --rundir; and test $i -lt (count $words)
            set -a places $words[$i] $words[(math $i + 1)]
        end
    end
    command svctl $places status 2>/dev/null | string replace -r ': .*' ''
end

set -l alone upgrade shutdown graph plot metrics
set -l operations start up stop down restart try-restart once kill exit force-stop force-restart \
    check status stat ready pause cont hup alarm int quit term usr1 usr2 reload \
    top watch logs $alone

complete -c svctl -f
complete -c svctl -n "not __fish_seen_subcommand_from $operations" -a "$operations"
complete -c svctl -n "__fish_seen_subcommand_from $operations; and not __fish_seen_subcommand_from $alone" \
    -a "(__svctl_services)"
complete -c svctl -s h -l help -d "Print the usage"
complete -c svctl -s V -l version -d "Print the version"
complete -c svctl -s d -l sysdir -x -a "(__fish_complete_directories)" -d "Directory of services"
complete -c svctl -s r -l rundir -x -a "(__fish_complete_directories)" -d "Directory of state"
complete -c svctl -s t -l timeout -x -d "Wait this long, in seconds"
complete -c svctl -s q -l quiet -d "Print errors only"
complete -c svctl -l force -d "stop: in the end with KILL"
complete -c svctl -l json -d "status, watch: print JSON"
complete -c svctl -n "not __fish_seen_subcommand_from logs" -s n -d "Do not wait"
complete -c svctl -n "__fish_seen_subcommand_from logs" -s n -l lines -x -d "At most so many lines"
complete -c svctl -n "__fish_seen_subcommand_from logs" -s f -l follow -d "Go on with what is written"
complete -c svctl -n "__fish_seen_subcommand_from top" -l once -d "Print the table and exit"
complete -c svctl -n "__fish_seen_subcommand_from top" -l sort -x -d "Sort by a column" \
    -a "name state pid age restarts cpu memory threads descriptors exit"
complete -c svctl -n "__fish_seen_subcommand_from top" -l filter -x -d "Only those with these words"
complete -c svctl -n "__fish_seen_subcommand_from top" -l interval -x -d "Seconds between measurements"
complete -c svctl -n "__fish_seen_subcommand_from graph" -l dot -d "For dot"
complete -c svctl -n "__fish_seen_subcommand_from graph" -l svg -d "As a picture"
complete -c svctl -n "__fish_seen_subcommand_from plot" -l end -x -d "Draw so many seconds"
