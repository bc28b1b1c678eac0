#!/bin/sh
# Proxmox's assistant (9.2.7), as far as `prepare-iso` of it is known: what it refuses, what it writes, and that its exit code
# is 0 all the same. Its arguments are kept in a file beside it.
set -eu
printf '%s\n' "$@" > "$0.arguments"
refuse() {
    echo "Error: $1" >&2
    exit 0
}
[ "$1" = prepare-iso ] || refuse "unknown subcommand '$1'"
shift
from='' answer='' url='' fingerprint='' first_boot='' output='' tmp='' pxe='' input=''
while [ $# -gt 0 ]; do
    case $1 in
        --fetch-from) from=$2 ;;
        --answer-file) answer=$2 ;;
        --url) url=$2 ;;
        --cert-fingerprint) fingerprint=$2 ;;
        --on-first-boot) first_boot=$2 ;;
        --output) output=$2 ;;
        --tmp) tmp=$2 ;;
        --pxe-loader) pxe=$2 ;;
        -*) refuse "unused arguments left: $1" ;;
        *) input=$1 && break ;;
    esac
    shift 2
done
case $from in iso | http | partition) ;; *) refuse "failed to parse '$from'" ;; esac
[ -e "$input" ] || refuse "Source file \"$input\" does not exist."
xorriso -dev "$input" -find /auto-installer-capable > /dev/null 2>&1 || refuse 'not able to be installed automatically'
[ "$from" != iso ] || [ -n "$answer" ] || refuse 'Missing path to the answer file'
[ "$from" = http ] || [ -z "$url$fingerprint" ] || refuse 'only works with the http mode'
[ "$from" = iso ] || [ -z "$answer" ] || refuse "You must set '--fetch-from' to 'iso'"
[ -z "$first_boot" ] || [ "$(wc -c < "$first_boot")" -le 1048576 ] || refuse 'Maximum file size is 1 MiB'
[ -z "$pxe" ] || [ -d "$output" ] || refuse "'--output' must point to an existing directory"
[ -z "$pxe" ] || [ "$pxe" = ipxe ] || refuse "unknown PXE loader '$pxe'"
[ -z "$answer" ] || ! grep -q '^\[.*firstlight' "$answer" || refuse 'Error parsing answer file: unknown field firstlight'
[ -z "$answer" ] || grep -q '^\[global\]' "$answer" || refuse 'Error parsing answer file: missing field global'

stem=$(basename "$input" .iso)-auto-from-$from${url:+-url}${fingerprint:+-fp}.iso
target=$output
[ -z "$pxe" ] || target=$output/$stem
uuid=$(xorriso -dev "$input" -report_system_area cmd 2> /dev/null | sed -n "s/^-volume_date uuid '\(.*\)'/\1/p")
inject() {
    xorriso -boot_image any keep -volume_date uuid "$uuid" -dev "$tmp/$stem.tmp" -map "$1" "$2" > /dev/null 2>&1
}
echo 'Copying source ISO to temporary location...'
# Rust's way to copy a file takes its mode along.
cp --preserve=mode "$input" "$tmp/$stem.tmp"
{
    printf 'mode = "%s"\npartition_label = "proxmox-ais"\n\n[http]\n' "$from"
    [ -z "$url" ] || printf 'url = "%s"\n' "$url"
    [ -z "$fingerprint" ] || printf 'cert_fingerprint = "%s"\n' "$fingerprint"
} > "$tmp/auto-installer-mode.toml"
inject "$tmp/auto-installer-mode.toml" /auto-installer-mode.toml
rm "$tmp/auto-installer-mode.toml"
[ -z "$answer" ] || inject "$answer" /answer.toml
[ -z "$first_boot" ] || inject "$first_boot" /proxmox-first-boot
if [ -n "$pxe" ]; then
    take() { xorriso -osirrox on -indev "$input" -extract "$1" "$2" > /dev/null 2>&1; }
    take /boot/linux26 "$output/vmlinuz"
    take /boot/initrd.img "$tmp/initrd.img.zst"
    zstd -qdc "$tmp/initrd.img.zst" | gzip > "$output/initrd.img"
    xorriso -boot_image any keep -volume_date uuid "$uuid" -indev "$tmp/$stem.tmp" -outdev "$target" -rm_r /boot \
        > /dev/null 2>&1
    echo "#!ipxe of $stem" > "$output/boot.ipxe"
else
    cp --preserve=mode "$tmp/$stem.tmp" "$target"
fi
rm "$tmp/$stem.tmp"
