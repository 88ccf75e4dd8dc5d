# A serial line does not tell what terminal is behind it; the kernel command line may: kvmsharp.terminal=ROWSxCOLUMNS,TYPE.
if [ "$(tty)" = /dev/ttyS0 ]; then
    terminal=$(sed -n 's/.*kvmsharp\.terminal=\([0-9]*x[0-9]*,[^ ]*\).*/\1/p' /proc/cmdline)
    if [ -n "$terminal" ]; then
        stty rows "${terminal%%x*}" columns "$(expr "$terminal" : '[0-9]*x\([0-9]*\)')"
        ! infocmp "${terminal#*,}" >/dev/null 2>&1 || export TERM="${terminal#*,}"
    fi
    unset terminal
fi
