//! The questions, in their order: data, and nothing else. What an answer may be is not said here: the reader of answers and
//! the areas decide, as they do for a file.

/// One question.
pub struct Question {
    /// Keys of `[firstlight]` that it decides; the first one takes what is typed.
    pub keys: &'static [&'static str],
    /// When it is asked.
    pub when: When,
    /// What is typed.
    pub form: Form,
    /// A heading.
    pub title: &'static str,
    /// What it means, always shown.
    pub text: &'static str,
    /// In front of the cursor.
    pub prompt: &'static str,
    /// What `?` says.
    pub help: &'static str,
}

/// When a question is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// On every node.
    Always,
    /// On a node of PVE.
    Pve,
    /// Unless the firewall is left alone.
    Firewall,
    /// Where this node refuses the answer without it.
    Needed,
}

/// What is typed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A text.
    Text,
    /// Texts with blanks or commas between.
    Texts,
    /// Public keys, one after the other.
    Keys,
    /// A password, twice.
    Password,
    /// The number of one choice.
    One(&'static [Choice]),
    /// Numbers of choices, or none.
    Many(&'static [Choice]),
}

/// A choice.
#[derive(PartialEq, Eq)]
pub struct Choice {
    /// What it means.
    pub label: &'static str,
    /// Lines of the answer, below `[firstlight]`.
    pub lines: &'static str,
}

const fn choice(label: &'static str, lines: &'static str) -> Choice {
    Choice { label, lines }
}

/// All of them.
pub const QUESTIONS: &[Question] = &[
    Question {
        keys: &["admin.name", "admin.enabled", "admin.shell", "admin.sudo"],
        when: When::Always,
        form: Form::Text,
        title: "Admin",
        text: "The person who looks after this node, as a user beside root: over SSH, with sudo, and in PVE's web \
               interface as an Administrator.",
        prompt: "Login name",
        help: "Lower-case letters, digits, - and _. The account is made if there is none; one that is there keeps what it \
               has. In PVE the same person is NAME@pam. root stays, and may log in over SSH by key, as the nodes of a \
               cluster must.",
    },
    Question {
        keys: &["admin.ssh-keys", "admin.ssh-key-pair", "ssh.algorithms", "ssh.enabled"],
        when: When::Always,
        form: Form::Keys,
        title: "SSH key",
        text: "SSH takes keys only, no passwords. Paste the line of a public key, which is in a file such as \
               ~/.ssh/id_ed25519.pub on your own machine",
        prompt: "Public key",
        help: "One line: ssh-ed25519, ecdsa, sk-* or ssh-rsa with at least 3072 bits, then the key. If you have none, run \
               `ssh-keygen -t ed25519` on your own machine. Never paste the private key. The fingerprint is shown, so that \
               you can compare it with `ssh-keygen -lf FILE`.",
    },
    Question {
        keys: &["ssh.allow-users"],
        when: When::Needed,
        form: Form::Texts,
        title: "Who else logs in over SSH",
        text: "Only root, by key, and the admin may log in over SSH. These accounts can do so today: name those that go on.",
        prompt: "Accounts",
        help: "All of them have to be named here: nobody is shut out by accident. If one shall not log in any more, end \
               the wizard, take its key and password away, and start again.",
    },
    Question {
        keys: &["admin.password-hash"],
        when: When::Always,
        form: Form::Password,
        title: "Password",
        text: "For sudo and for PVE's web interface. It never works over SSH. It is kept as a hash (yescrypt).",
        prompt: "Password",
        help: "Nothing is shown while you type. Long is better than strange: four words. An account that has a password \
               keeps it if you type nothing.",
    },
    Question {
        keys: &["firewall.mode"],
        when: When::Always,
        form: Form::One(&[
            choice(
                "PVE's own. It filters this node and, where that is switched on, guests; its rules show in the web interface. \
                 Only the management networks reach SSH, 8006 and consoles.",
                "firewall.mode = \"pve\"",
            ),
            choice(
                "UFW. It filters this node alone, by rules that are easy to read. PVE's own is switched off, and with it \
                 the firewalls of guests.",
                "firewall.mode = \"ufw\"",
            ),
            choice("Neither: leave the firewall as it is.", "firewall.enabled = false"),
        ]),
        title: "Firewall",
        text: "Exactly one filters; two would undo each other's rules.",
        prompt: "Which",
        help: "PVE's own is the right one for a node that runs guests or will join a cluster. Whichever it is: new connections \
               are tried from inside and outside of the management networks before anything counts, and without your login \
               everything is put back.",
    },
    Question {
        keys: &["firewall.datacenter"],
        when: When::Needed,
        form: Form::One(&[choice(
            "Yes, this run may change the firewall of the whole cluster.",
            "firewall.datacenter = true",
        )]),
        title: "The cluster's firewall",
        text: "This node is a member of a cluster, and PVE's firewall has one switch for all of its nodes.",
        prompt: "Which",
        help: "If not, go back with < and leave the firewall alone on this node.",
    },
    Question {
        keys: &["firewall.services"],
        when: When::Needed,
        form: Form::One(&[choice(
            "Yes, let corosync of the other nodes in.",
            "firewall.services = [\"cluster\", \"migration\"]",
        )]),
        title: "The other nodes",
        text: "This node is a member of a cluster, and UFW would cut it off from the others.",
        prompt: "Which",
        help: "Opens corosync (5405 to 5412/udp) and migration (60000 to 60050/tcp) to the management networks, which must hold \
               the other nodes.",
    },
    Question {
        keys: &["firewall.management", "firewall.management-only-remote"],
        when: When::Firewall,
        form: Form::Texts,
        title: "Management networks",
        text: "Only these networks reach SSH and PVE's web interface.",
        prompt: "Networks",
        help: "Networks such as 10.0.20.0/24 or 2001:db8::/64, or single addresses, with blanks between; `any` for everybody. \
               The network that you are connected from, or that of the node's gateway, must be among them.",
    },
    Question {
        keys: &["firewall.narrow-local-network"],
        when: When::Needed,
        form: Form::One(&[choice(
            "Yes, leave the cluster's own network open.",
            "firewall.narrow-local-network = false",
        )]),
        title: "The cluster's network",
        text: "The management networks do not hold all nodes of the cluster, which must reach each other.",
        prompt: "Which",
        help: "PVE lets the network that the nodes stand in reach them. Otherwise go back with < and name a management network \
               that holds all nodes.",
    },
    Question {
        keys: &["totp"],
        when: When::Pve,
        form: Form::One(&[
            choice("root@pam and the admin.", "totp.enrolment = \"on-verify\""),
            choice("The admin alone.", "totp.enrolment = \"on-verify\"\ntotp.users = []"),
            choice("Nobody.", "totp.enabled = false"),
        ]),
        title: "Second factor (TOTP)",
        text: "A code from a phone at every login to PVE's web interface and API. SSH and the console do not ask for it.",
        prompt: "Who gets one",
        help: "You scan a QR code at the end. It counts once a code of yours was right, and recovery keys for a lost phone \
               are shown once. Programs that log in with a password need an API token instead.",
    },
    Question {
        keys: &["updates"],
        when: When::Always,
        form: Form::One(&[
            choice("Debian's security updates, every day.", "updates.security = true"),
            choice("These, and the packages of Proxmox.", "updates.security = true\nupdates.proxmox = true"),
            choice("Leave updates as they are.", "updates.enabled = false"),
        ]),
        title: "Updates",
        text: "Installed by themselves; the node never reboots by itself.",
        prompt: "Which",
        help: "unattended-upgrades installs them. Updates of Proxmox can restart services of guests: many admins install those \
               by hand.",
    },
    Question {
        keys: &["ssh", "fail2ban", "kernel", "services", "apparmor", "repositories", "audit"],
        when: When::Always,
        form: Form::Many(&[
            choice("The SSH server.", "ssh.enabled = false"),
            choice("fail2ban: who guesses passwords is shut out for an hour.", "fail2ban.enabled = false"),
            choice("Kernel settings.", "kernel.enabled = false"),
            choice("Services: rpcbind off, postfix on loopback.", "services.enabled = false"),
            choice("AppArmor profiles.", "apparmor.enabled = false"),
            choice("Package sources: no-subscription without a key.", "repositories.enabled = false"),
            choice("The monthly audit.", "audit.enabled = false"),
        ]),
        title: "Leave alone",
        text: "All of this is hardened, too. What shall be left as it is?",
        prompt: "Numbers, or Enter for nothing",
        help: "Numbers with blanks between: 3 5. What is left alone is neither changed nor audited.",
    },
];
