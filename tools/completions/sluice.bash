# SPDX-License-Identifier: Apache-2.0
#
# Completion of `sluice` for bash. Verbs and options are read from the program's own help, so they are those of the installed version;
# names of functions come from the server, if one answers.
_sluice() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} program=${COMP_WORDS[0]} verb=${COMP_WORDS[1]:-}
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "$("$program" --help 2>/dev/null | sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p') --help --version" -- "$word")
    elif [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$("$program" "$verb" --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]*' | sort -u)" -- "$word")
    elif [[ $before == --payload || $before == -p ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
    else
        case $verb in
        invoke | logs | rm)
            mapfile -t COMPREPLY < <(compgen -W "$("$program" ls 2>/dev/null | sed -n '/^FUNCTION/,/^$/{s/^\([A-Za-z0-9_-]*\) .*/\1/p}' | grep -v '^FUNCTION$')" -- "$word")
            ;;
        deploy | serve) mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
        esac
    fi
}
complete -o filenames -F _sluice sluice
