# A serial line does not tell the size of the terminal behind it; the kernel command line may: kvmsharp.terminal=ROWSxCOLUMNS.
if [ "$(tty)" = /dev/ttyS0 ]; then
    size=$(sed -n 's/.*kvmsharp\.terminal=\([0-9]*x[0-9]*\).*/\1/p' /proc/cmdline)
    [ -z "$size" ] || stty rows "${size%x*}" columns "${size#*x}"
    unset size
fi
