# kiln.bash: bash completion for the command kiln. Names in tables are asked from the command itself.

_kiln_names() { # first words of `kiln list TABLE`
  "${COMP_WORDS[0]}" list "$1" 2>/dev/null | awk 'NF { print $1 }'
}

_kiln() {
  local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} words=
  COMPREPLY=()
  case $previous in
    --target) words=$(_kiln_names targets) ;;
    --template) words=$(_kiln_names templates) ;;
    --stage) words="graph tile llvm asm object dot" ;;
    --fill) words="exact random" ;;
    --against) words="openblas" ;;
    --header | -o | --output) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
    kiln | */kiln) words="run bench explain dump tile emit cache cpu list --help --version" ;;
    list) words="ops types targets mma templates passes options" ;;
    cache) words="path list show verify prune clear" ;;
  esac
  if [[ -z $words && $word == -* ]]; then
    words="--target --threads --schedule --template --fill --seed --json --quiet --help"
    case ${COMP_WORDS[1]} in
      bench) words+=" --against --cold-weights" ;;
      dump) words+=" --stage" ;;
      emit) words+=" -o --header" ;;
    esac
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
