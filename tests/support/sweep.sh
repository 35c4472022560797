# sh sweep.sh FOLDER < LIFELINE
#
# Removes the folder when LIFELINE is at its end and no process of supervise.sh uses the folder any more.
set -eu
read -r _ || true
exec 9<"$1/.lock"
flock --exclusive 9
rm -rf "$1"
