//! Every committed input of every target, and every one that ever failed, without a fuzzer.

use firstlight_fuzz::TARGETS;
use std::fs;
use std::path::{Path, PathBuf};

fn inputs(kind: &str, target: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(kind).join(target);
    let entries = fs::read_dir(&directory).into_iter().flatten();
    entries.flatten().map(|entry| entry.path()).collect()
}

#[test]
fn every_input_of_the_corpora_and_every_one_that_ever_failed_holds() {
    for target in TARGETS {
        let corpus = inputs("corpus", target.name);
        assert!(!corpus.is_empty(), "{} has no corpus", target.name);
        for input in corpus.into_iter().chain(inputs("failures", target.name)) {
            eprintln!("{}", input.display());
            (target.run)(&fs::read(&input).unwrap());
        }
    }
}

#[test]
fn every_example_answer_is_an_input() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../answer-files");
    for directory in [examples.clone(), examples.join("invalid")] {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                firstlight_fuzz::answer::answer(&fs::read(path).unwrap());
            }
        }
    }
}

#[test]
fn no_short_input_breaks_a_target() {
    for target in TARGETS {
        (target.run)(&[]);
        for first in 0..=u8::MAX {
            (target.run)(&[first]);
            (target.run)(&[first, 0x31, first, 0xff, 0x0a]);
        }
    }
}
