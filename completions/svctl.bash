# Completion of svctl for bash: operations, options, and the names of services from svctl itself.

_svctl_services() {
  # With the directories of this command line, if it names any.
  local places=() i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
    -d | -r | --sysdir | --rundir) places+=("${COMP_WORDS[i]}" "${COMP_WORDS[i + 1]}") ;;
    esac
  done
  command svctl "${places[@]}" status 2>/dev/null | command sed 's/: .*//'
}

_svctl() {
  local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} operation='' i
  local operations='start up stop down restart try-restart once kill exit force-stop force-restart
    check status stat ready pause cont hup alarm int quit term usr1 usr2 reload upgrade shutdown
    top watch logs graph plot metrics'
  COMPREPLY=()
  case $previous in
  -d | -r | --sysdir | --rundir)
    mapfile -t COMPREPLY < <(compgen -d -- "$word")
    return
    ;;
  -t | --timeout | --interval | --end | --filter | --lines) return ;;
  --sort)
    mapfile -t COMPREPLY < <(compgen -W 'name state pid age restarts cpu memory threads descriptors exit' -- "$word")
    return
    ;;
  esac
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
    -d | -r | -t | --sysdir | --rundir | --timeout) i=$((i + 1)) ;;
    -*) ;;
    *)
      operation=${COMP_WORDS[i]}
      break
      ;;
    esac
  done
  local options='-h --help -V --version -d --sysdir -r --rundir'
  case $operation in
  top) options="$options --once --sort --filter --interval" ;;
  watch) options="$options --json" ;;
  logs) options="$options -f --follow -n --lines" ;;
  graph) options="$options --dot --svg" ;;
  plot) options="$options --end" ;;
  metrics) ;;
  *) options="$options -t --timeout -n -q --quiet --force --json" ;;
  esac
  if [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
  elif [[ -z $operation ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$operations" -- "$word")
  else
    case $operation in
    upgrade | shutdown | graph | plot | metrics) return ;;
    esac
    # Not by compgen -W, which would expand what stands in a name.
    local name
    while IFS= read -r name; do
      [[ $name == "$word"* ]] && COMPREPLY+=("$(printf '%q' "$name")")
    done < <(_svctl_services)
  fi
}

complete -F _svctl svctl
