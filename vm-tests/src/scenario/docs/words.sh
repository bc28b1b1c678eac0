# What the sessions of sessions.rs say before and after what a reader types; it stands in front of each of them.
export PATH=/usr/local/sbin:$PATH LC_ALL=C.UTF-8
cd /root
# Whether what ran last is done, with or without something to look at.
fine() {
    case $? in 0 | 3) ;; *) return 1 ;; esac
}
# Whether sshd has the algorithms of answer.toml, on either release; not asked of one that does not start.
strict() {
    sshd -T > /run/sshd-now || { echo 'sshd does not start'; exit 1; }
    grep -q -e '^kexalgorithms mlkem768x25519-sha256,sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com$' \
        -e '^kexalgorithms .*diffie-hellman-group16-sha512' /run/sshd-now
}
applied() {
    firstlight apply answer.toml --confirm none
    fine
}
waiting() {
    firstlight apply answer.toml --confirm login
    [ $? = 4 ]
}
# Nothing waits any more, and what was applied is there.
committed() {
    firstlight status
    fine && strict && firstlight snapshots list | grep -q 0002
}
# What the first boot did to the node, and the node without it.
hardened() {
    test -e /etc/sudoers.d/firstlight && ufw status | grep -q '^Status: active'
}
old() {
    test ! -e /etc/sudoers.d/firstlight && test ! -e /usr/sbin/ufw && ! getent passwd ops
}
