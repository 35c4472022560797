# sh supervise.sh FOLDER NAME PROGRAM ARGUMENT... < LIFELINE
#
# Runs the program until it ends or until LIFELINE is at its end, and then kills it. The harness holds the other end of
# that pipe: however the test process ends, be it by SIGKILL, the kernel closes it. This script is the program's parent
# and has not waited for it, so the process id cannot have passed to somebody else.
set -eu
folder=$1
name=$2
shift 2
exec 2>>"$folder/$name.log"

# The program inherits this shared lock; sweep.sh knows by it when the folder is no longer in use.
exec 9<"$folder/.lock"
flock --shared 9

exec 3<&0 </dev/null
"$@" 3<&- >&2 &
program=$!
echo "$program" >"$folder/$name.pid"
(
    read -r _ <&3 || true
    kill -KILL "$program"
) 9<&- &
watcher=$!
exec 3<&-

status=0
wait "$program" || status=$?
kill -KILL "$watcher" || true
exit "$status"
