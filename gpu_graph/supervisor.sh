# One attempt's supervisor, run as: sh -c "$(cat supervisor.sh)" tiller-supervisor BASE DIRECTORY COMMAND [ARGUMENT…]
# It outlives the server. BASE.pid is created exclusively and first, so an attempt is never run twice: whoever creates it
# owns the attempt. BASE.exit is complete when it ends in a newline, and then holds the exit status.
base=$1 directory=$2
shift 2
read -r stat <"/proc/$$/stat" || exit 121
set -C
printf '%s\n' "$stat" >"$base.pid" || exit 122
set +C
trap : TERM INT HUP # caught, not ignored: a child cannot undo an inherited ignore
(cd -- "$directory" && exec "$@")
status=$?
printf '%s\n' "$status" >"$base.exit"
exit "$status"
