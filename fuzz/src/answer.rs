//! The answer: whatever bytes an operator hands in, problems with a place, or a profile.

use firstlight::answer;

/// Any bytes.
pub fn answer(data: &[u8]) {
    match answer::read("answer.toml", data) {
        Ok(answer) => {
            for key in ["firstlight.admin.name", "firstlight", "global", "nowhere.at.all", ""] {
                let problem = answer.problem_at(key, "x");
                assert!(problem.line > 0 && problem.column > 0);
            }
            // The profile of record is TOML, and says what it says.
            let read = answer::read("profile.toml", answer.record.as_bytes());
            if let Err(problems) = read {
                let missing = |message: &str| !message.contains("is not TOML");
                assert!(problems.list.iter().all(|problem| missing(&problem.message)), "{problems}");
            }
        }
        Err(problems) => {
            assert!(!problems.list.is_empty(), "refused without a problem");
            let lines = data.split(|byte| *byte == b'\n').count();
            for problem in &problems.list {
                assert!((1..=lines).contains(&problem.line) && problem.column > 0, "{problems}");
                assert!(!problem.message.is_empty());
            }
        }
    }
}
