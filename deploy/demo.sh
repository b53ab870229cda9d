#!/bin/bash
# The main job: the sample that ships, then what is piped in. Called by `make run`.
#   deploy/demo.sh BIN OUT        BIN: folder of ltt-stream; OUT: where the Arrow files go
set -euo pipefail

bin=$1 out=$2

echo "== The sample: one day of two small machines =="
rm -rf "$out/sample"
"$bin/ltt-stream" sample | "$bin/ltt-stream" run --out "$out/sample"
echo
echo "== Flagged in the sample =="
"$bin/python" -m pipeline.sample.check "$out/sample"

# A terminal is not input, nor is a pipe that stays silent.
if [[ -p /dev/stdin || -f /dev/stdin ]] && "$bin/python" - 3<&0 <<'EOS'
import array, fcntl, select, sys, termios
waiting = array.array("i", [0])
if select.select([3], [], [], 2.0)[0]:
    fcntl.ioctl(3, termios.FIONREAD, waiting)
sys.exit(waiting[0] == 0)
EOS
then
    echo
    echo "== Standard input =="
    trap : INT # Ctrl-C ends the stream, not the last words
    "$bin/ltt-stream" run --out "$out/stdin"
    where="$out/sample and $out/stdin"
elif [[ -p /dev/stdin ]]; then
    echo
    echo "Standard input said nothing for 2 s, so it is not waited for; to follow a quiet log:"
    echo "  tail -f LOG | $bin/ltt-stream run --out $out/stdin"
fi

cat <<EOS

The Arrow files are in ${where:-$out/sample}. To look at them:

  $bin/python -c "import polars as pl; print(pl.scan_ipc('$out/*/date=*/*.arrow')
    .filter('anomaly').select('timestamp', 'app_name', 'predicted_severity', 'message').collect())"
EOS
