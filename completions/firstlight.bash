# bash completion for firstlight                            -*- shell-script -*-
_firstlight() {
    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words='' files=''
    COMPREPLY=()
    case $COMP_CWORD:${COMP_WORDS[1]-} in
        1:*) mapfile -t COMPREPLY < <(compgen -W 'check bake plan apply wizard audit status confirm rollback snapshots totp bundle install uninstall recover help --help --version' -- "$current"); return ;;
        2:snapshots) mapfile -t COMPREPLY < <(compgen -W 'list show diff prune --help' -- "$current"); return ;;
        2:totp) mapfile -t COMPREPLY < <(compgen -W 'show verify reset --help' -- "$current"); return ;;
    esac
    case $before in
        --confirm) mapfile -t COMPREPLY < <(compgen -W 'login none' -- "$current"); return ;;
        --out) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
        --exe | --save) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
        --plan | --to | --keep) return ;;
    esac
    case "${COMP_WORDS[1]-} ${COMP_WORDS[2]-}" in
        "check "*) words='--for --help'; files=f ;;
        "bake "*) words='--out --exe --for --help'; files=f ;;
        "plan "*) words='--json --help'; files=f ;;
        "apply "*) words='--plan --confirm --help'; files=f ;;
        "wizard "*) words='--save --help' ;;
        "audit "*) words='--json --junit --record --help'; files=f ;;
        "status "*) words='--wait --json --help' ;;
        "rollback "*) words='--force --to --dry-run --json --help' ;;
        "snapshots list") words='--help' ;;
        "snapshots show") words='--help' ;;
        "snapshots diff") words='--json --help' ;;
        "snapshots prune") words='--keep --help' ;;
        "bundle "*) words='--help' ;;
        "install "*) words='--help' ;;
        "uninstall "*) words='--help' ;;
        "recover "*) words='--early --help' ;;
        "confirm "*) words='--help' ;;
        "totp show") words='--help' ;;
        "totp verify") words='--help' ;;
        "totp reset") words='--help' ;;
    esac
    if [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    elif [[ $files ]]; then
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
    fi
} && complete -F _firstlight firstlight
