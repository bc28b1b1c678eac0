//! From what lies on the disk to what is true: all journals, the hook's journal and three facts of the moment
//! become one outcome with its exit code. Pure.

use super::story::{Standing, Story};
use crate::transaction::record::{Closing, Event, Record};
use crate::transaction::state::TransactionId;

/// What `status` decides from.
pub struct Evidence {
    /// Every transaction that has a journal, oldest first.
    pub stories: Vec<Story>,
    /// The hook's own journal.
    pub hook: Vec<Record>,
    /// The process that holds the lock.
    pub holder: Option<u32>,
    /// Whether PVE will start the hook again: its flag is there.
    pub pending: bool,
    /// Users of PVE with a factor of ours of which nobody has seen a code.
    pub unverified: Vec<String>,
    /// What was shown once on a console, and nobody has acknowledged.
    pub unacknowledged: Vec<String>,
    /// The last audit that was kept.
    pub audit: Vec<String>,
    /// Kernel's id of this boot.
    pub boot: String,
    /// Milliseconds since it, on `CLOCK_BOOTTIME`.
    pub up: u64,
    /// Wall clock, milliseconds since 1970.
    pub now: u64,
}

/// What happened, and what is true now.
pub struct Status {
    /// In one word.
    pub outcome: Outcome,
    /// The true exit code, also where the hook had to answer 0.
    pub exit_code: u8,
    /// Tries of the first-boot hook so far.
    pub tries: u32,
    /// What failed, in the words of who refused; or why nothing ran.
    pub message: String,
    /// The process that works on the node right now.
    pub holder: Option<u32>,
    /// Whether something is still to come in this boot without anybody's doing.
    pub settled: bool,
    /// Whether PVE starts the hook again at the next boot.
    pub pending: bool,
    /// Wall clock, milliseconds since 1970.
    pub now: u64,
    /// Milliseconds that the transaction that decides still waits for confirmation.
    pub waits: Option<u64>,
    /// The transaction that decides, if there is one.
    pub latest: Option<TransactionId>,
    /// Users of PVE with a factor of ours of which nobody has seen a code.
    pub unverified: Vec<String>,
    /// What the audit says that the timer kept last, line by line.
    pub audit: Vec<String>,
    /// What was shown once on a console, and nobody has acknowledged.
    pub unacknowledged: Vec<String>,
    /// Every transaction, oldest first.
    pub stories: Vec<Story>,
}

impl Status {
    /// The story of the transaction that decides.
    pub fn story(&self) -> Option<&Story> {
        self.stories.iter().find(|story| Some(story.id) == self.latest)
    }

    /// Whether recovery has work left, or cannot know.
    pub fn is_open(&self) -> bool {
        let open = |story: &Story| Outcome::of_standing(story.standing).exit_code(false) == 5;
        self.stories.iter().any(open)
    }
}

/// How the node stands, in one word.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum Outcome {
    /// The last transaction is the node.
    Committed,
    /// It failed and was put back.
    Reverted,
    /// A gate refused before the first effect.
    Untouched,
    /// It was put back on request.
    RolledBack,
    /// It could not be put back.
    Stuck,
    /// Applied, and waiting for confirmation.
    Waiting,
    /// A run is at work.
    Running,
    /// A run was cut off and not yet dealt with.
    Unfinished,
    /// The hook used up its tries.
    GaveUp,
    /// The hook refused its answer, or the node.
    BadInput,
    /// The hook found no answer.
    NoAnswer,
    /// The node was as wanted already.
    Unchanged,
    /// Nothing ever ran.
    NeverRan,
}

impl Outcome {
    /// As the JSON spells it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Reverted => "reverted",
            Self::Untouched => "untouched",
            Self::RolledBack => "rolled-back",
            Self::Stuck => "stuck",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Unfinished => "unfinished",
            Self::GaveUp => "gave-up",
            Self::BadInput => "bad-input",
            Self::NoAnswer => "no-answer",
            Self::Unchanged => "unchanged",
            Self::NeverRan => "never-ran",
        }
    }

    fn of_word(word: &str) -> Self {
        match word {
            "bad-input" => Self::BadInput,
            "no-answer" => Self::NoAnswer,
            "unchanged" => Self::Unchanged,
            _ => Self::GaveUp,
        }
    }

    /// How a transaction that stands so left the node.
    pub fn of_standing(standing: Standing) -> Self {
        match standing {
            Standing::Open => Self::Unfinished,
            Standing::Waiting => Self::Waiting,
            Standing::Committed => Self::Committed,
            Standing::Closed(Closing::Untouched) => Self::Untouched,
            Standing::Closed(Closing::Reverted) => Self::Reverted,
            Standing::Closed(Closing::RolledBack) => Self::RolledBack,
            Standing::Closed(Closing::Stuck) | Standing::Damaged => Self::Stuck,
        }
    }

    /// Design 9. `attention`: warnings or kept files.
    fn exit_code(self, attention: bool) -> u8 {
        match self {
            Self::Committed | Self::RolledBack if attention => 3,
            Self::Committed | Self::RolledBack | Self::Unchanged | Self::NoAnswer | Self::NeverRan => 0,
            Self::Reverted | Self::Untouched | Self::GaveUp => 1,
            Self::BadInput => 2,
            Self::Running | Self::Waiting => 4,
            Self::Stuck | Self::Unfinished => 5,
        }
    }
}

/// Decides.
pub fn fold(evidence: Evidence) -> Status {
    let hook = Hook::read(&evidence.hook);
    let latest = decisive(&evidence.stories);
    let (mut outcome, message) = match evidence.holder {
        Some(process) => (Outcome::Running, working(process, latest)),
        None => decide(&hook, latest, evidence.pending),
    };
    let waiting = latest.filter(|_| outcome == Outcome::Waiting).and_then(|story| story.waiting.as_ref());
    let waits = waiting.filter(|waiting| waiting.boot == evidence.boot);
    let waits = waits.and_then(|waiting| waiting.until.checked_sub(evidence.up)).filter(|left| *left > 0);
    // The timer is about to put it back: nobody has to do anything.
    let expired = waiting.is_some() && waits.is_none();
    if expired {
        outcome = Outcome::Unfinished;
    }
    let attention = latest.is_some_and(|story| !story.warnings.is_empty() || !story.kept.is_empty());
    // Put back by the units at boot, or by the dead-man timer of this one.
    let by_itself = |story: &Story| story.boot != evidence.boot || story.armed == evidence.boot;
    let cut_off = outcome == Outcome::Unfinished && latest.is_some_and(by_itself);
    let tried = hook.tries > 0 && hook.boot == evidence.boot;
    let turn = evidence.pending && hook.ended.is_none() && !tried;
    Status {
        audit: evidence.audit,
        outcome,
        exit_code: outcome.exit_code(attention),
        tries: hook.tries,
        message,
        holder: evidence.holder,
        settled: !matches!(outcome, Outcome::Running | Outcome::Waiting) && !expired && !cut_off && !turn,
        pending: evidence.pending && hook.ended.is_none(),
        now: evidence.now,
        waits,
        unverified: evidence.unverified,
        unacknowledged: evidence.unacknowledged,
        latest: latest.map(|story| story.id),
        stories: evidence.stories,
    }
}

/// The transaction that says how the node stands: one that is open; else one that was rolled back after the
/// last one came to nothing; else the last one.
fn decisive(stories: &[Story]) -> Option<&Story> {
    let last = stories.last()?;
    if let Some(open) =
        stories.iter().rfind(|story| matches!(story.standing, Standing::Open | Standing::Waiting))
    {
        return Some(open);
    }
    let nothing = matches!(last.standing, Standing::Closed(Closing::Untouched | Closing::Reverted));
    let later = stories.iter().rfind(|story| {
        matches!(story.standing, Standing::Closed(Closing::RolledBack | Closing::Stuck))
            && story.ended > last.ended
    });
    Some(later.filter(|_| nothing).unwrap_or(last))
}

/// What the hook's own journal tells.
struct Hook {
    tries: u32,
    /// The boot of the last try.
    boot: String,
    /// When, how and why it ended for good.
    ended: Option<(u64, Outcome, String)>,
}

impl Hook {
    fn read(records: &[Record]) -> Self {
        let mut hook = Self { tries: 0, boot: String::new(), ended: None };
        for record in records {
            match &record.event {
                Event::Try { number, boot } => {
                    hook.tries = *number;
                    hook.boot.clone_from(boot);
                }
                // Left to whoever confirms: no last word.
                Event::Ended { outcome, .. } if outcome == "waiting" => {}
                Event::Ended { outcome, message } => {
                    hook.ended = Some((record.at, Outcome::of_word(outcome), message.clone()));
                }
                _ => {}
            }
        }
        hook
    }
}

/// The hook's last word against the last transaction. What is not put back always wins; then whoever came last.
/// A transaction of the hook is always before the hook's last word, whatever the clock did in between.
fn decide(hook: &Hook, latest: Option<&Story>, pending: bool) -> (Outcome, String) {
    let told = latest.map(|story| (story, Outcome::of_standing(story.standing)));
    match (told, &hook.ended) {
        (Some((story, outcome)), None) => (outcome, said(story, outcome)),
        (Some((story, outcome)), Some((at, _, _))) if stands(story, outcome, *at) => {
            (outcome, said(story, outcome))
        }
        (_, Some((_, outcome, message))) => (*outcome, message.clone()),
        (None, None) if hook.tries == 0 => (Outcome::NeverRan, String::new()),
        // PVE removes its flag after success only: without a transaction there was nothing to change.
        (None, None) if !pending => (Outcome::Unchanged, String::new()),
        (None, None) => (
            Outcome::Untouched,
            format!("try {} of the first boot ended before its transaction began", hook.tries),
        ),
    }
}

fn stands(story: &Story, outcome: Outcome, ended: u64) -> bool {
    matches!(
        outcome,
        Outcome::Stuck | Outcome::Unfinished | Outcome::Waiting | Outcome::Committed | Outcome::RolledBack
    ) || (story.door != "hook" && story.started > ended)
}

fn said(story: &Story, outcome: Outcome) -> String {
    if outcome == Outcome::Unfinished && story.message.is_empty() {
        return match story.current() {
            Some((place, title)) => {
                format!("cut off in step {place} of {}: {title}", story.steps.len())
            }
            None => "cut off".to_owned(),
        };
    }
    story.message.clone()
}

fn working(process: u32, latest: Option<&Story>) -> String {
    let open = latest.filter(|story| story.standing == Standing::Open);
    match open.and_then(|story| Some((story.current()?, story.steps.len()))) {
        Some(((place, title), total)) => format!("process {process} is at step {place} of {total}: {title}"),
        None => format!("process {process} is at work"),
    }
}
