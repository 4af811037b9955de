#!/usr/bin/env bash
# completion.sh SOURCE BUILD: what bash completion offers, and that the man page has every verb.
set -euo pipefail
command=$2/kiln
# shellcheck source=/dev/null
source "$1/completion/kiln.bash"

offers() { # EXPECTED WORD ...: completing after these words offers EXPECTED
  local expected=$1
  shift
  COMP_WORDS=("$command" "$@")
  COMP_CWORD=$#
  _kiln
  [[ " ${COMPREPLY[*]} " == *" $expected "* ]] || {
    echo "after 'kiln $*' expected '$expected' among: ${COMPREPLY[*]}"
    exit 1
  }
}

offers bench be
offers --version --v
offers --threads run --th
offers haswell run --target has
offers gemm run --template ge
offers random run --fill ra
offers targets list t
offers prune cache pr
offers asm dump --stage a
offers --header emit --he

verbs=$(_kiln_command=$command _kiln_verbs)
for verb in $verbs; do
  grep -q "^.fBkiln $verb" "$2/kiln.1" || { echo "the man page lacks '$verb'"; exit 1; }
done
echo "$(wc -w <<< "$verbs") verbs completed and in the man page"
