//! Files of the operator's own.

use super::*;
use crate::profile::OwnFile;

fn own(path: &str, mode: u32) -> OwnFile {
    OwnFile { path: path.to_owned(), content: "Authorised access only.\n".to_owned(), mode }
}

#[test]
fn j1_a_file_of_the_answer_is_written_and_audited_as_it_stands_there() {
    let files = vec![own("/etc/issue.net", 0o644), own("/etc/secret", 0o600)];
    let profile = Profile { files, ..Profile::example() };
    let proposal = crate::areas::tests::proposed(&Files, &profile, &Facts::example());
    let seen: Vec<_> = proposal
        .changes
        .iter()
        .map(|(phase, change)| {
            let Change::File(file) = change else { panic!("not a file") };
            assert_eq!(
                (*phase == Phase::Files, file.owner.as_str(), file.content.as_slice()),
                (true, "root", &b"Authorised access only.\n"[..])
            );
            (file.path.to_str().unwrap(), file.mode, file.public)
        })
        .collect();
    assert_eq!(seen, [("/etc/issue.net", 0o644, true), ("/etc/secret", 0o600, false)]);
    let ids: Vec<&str> = proposal.controls.iter().map(|control| &*control.id).collect();
    assert_eq!(ids, ["file./etc/issue.net", "file./etc/secret"]);
}

#[test]
fn j1_a_file_that_an_area_writes_is_refused() {
    let files = vec![own("/etc/ssh/sshd_config.d/00-firstlight.conf", 0o644)];
    let profile = Profile { files, ..Profile::example() };
    let refused = crate::areas::propose_all(&profile, &Facts::example()).err().unwrap();
    assert_eq!(
        crate::areas::tests::messages(refused),
        [
            "firstlight.file must leave /etc/ssh/sshd_config.d/00-firstlight.conf to firstlight, which writes it"
        ]
    );
}
