# kiln.bash: bash completion for the command kiln. All names are asked from the command itself, so none can be missing here.

# _kiln_verbs; _kiln_options VERB; _kiln_values VERB OPTION (where its help says a|b|c); _kiln_arguments VERB
_kiln_verbs() { "$_kiln_command" --help 2>/dev/null | sed -nE 's/^  kiln ([a-z]+).*/\1/p'; }
_kiln_options() { "$_kiln_command" "$1" --help 2>/dev/null | sed -nE 's/^  (--[a-z-]+).*/\1/p'; }
_kiln_values() { "$_kiln_command" "$1" --help 2>/dev/null | sed -nE "s/^  $2 ([a-z]+\|[a-z|]+).*/\1/p" | tr '|' '\n'; }
_kiln_arguments() { "$_kiln_command" "$1" --help 2>/dev/null | sed -nE '1s/^kiln [a-z]+ ([a-z]+\|[a-z|]+).*/\1/p' | tr '|' '\n'; }
_kiln_rows() { "$_kiln_command" list "$1" 2>/dev/null | awk 'NF { print $1 }'; }

_kiln() {
  local _kiln_command=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
  local verb=${COMP_WORDS[1]} words=
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    words="$(_kiln_verbs) --help --version"
  else
    case $previous in
      --target) words=$(_kiln_rows targets) ;;
      --template) words=$(_kiln_rows templates) ;;
      --*) words=$(_kiln_values "$verb" "$previous") ;;
    esac
    if [[ -z $words && $word == -* ]]; then words="$(_kiln_options "$verb") --help"; fi
    if [[ -z $words && $COMP_CWORD -eq 2 ]]; then words=$(_kiln_arguments "$verb"); fi
  fi
  if [[ -n $words ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
  elif [[ $word == @* ]]; then
    mapfile -t COMPREPLY < <(compgen -P @ -f -- "${word#@}")
  else
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
  fi
}

complete -F _kiln kiln
