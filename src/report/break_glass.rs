//! Break glass: what to type when the node could not be put back. The same, longer and without firstlight, is
//! docs/recovery.md.

use super::terminal::{Colour, Paint, indented};
use crate::transaction::state::TransactionId;

/// The text for transaction `id`, or for a node whose state is gone; `left` says what is not yet put back.
pub fn break_glass(id: Option<TransactionId>, left: &str, paint: Paint) -> String {
    let mut text = format!("\n{}\n", paint.paint(Colour::Red, "Break glass"));
    if !left.is_empty() {
        text.push_str("  Not put back:\n");
        text.push_str(&indented(left, "    "));
    }
    text.push_str("  Stay logged in. The node's console works whatever sshd and firewall do.\n\n");
    if let Some(id) = id {
        text.push_str(&format!(
            "  \
  Try again, once the cause is gone (no quorum, full disk, dpkg locked):
    firstlight recover
  See which files differ from before, and one of them:
    firstlight snapshots diff {id}
    firstlight snapshots diff {id} /etc/ssh/sshd_config
  Put one file back by hand:
    firstlight snapshots show {id} /etc/ssh/sshd_config > /etc/ssh/sshd_config
"
        ));
    }
    text.push_str(BY_HAND);
    if let Some(id) = id {
        text.push_str(&format!(
            "
  Without firstlight: /var/lib/firstlight/tx/{id}/snapshot names every file with
  the SHA-256 of its content; /var/lib/firstlight/objects/ holds the contents.
"
        ));
    }
    text
}

/// What helps whether we know anything or not.
const BY_HAND: &str = "  \
  Open the firewall until this is over:
    ufw disable; pve-firewall stop
  Let sshd run without our settings:
    mv /etc/ssh/sshd_config.d/00-firstlight.conf /root/ && systemctl restart ssh
  Log in to PVE without a second factor, and lift a lock on one:
    pveum realm modify pam --delete tfa; pveum user tfa delete USER@pam
    pveum user tfa unlock USER@pam
  Finish an interrupted package:
    dpkg --configure -a && apt-get -f install
";
