//! Where the power goes: flushes of the log, found by what was written around them.

use anyhow::{Context, Result, ensure};

use super::journal;
use super::log::Log;

/// A moment at which the power goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// The last request that is whole on the disk: a flush.
    pub flush: usize,
    /// What was being written, for people.
    pub label: String,
    /// Of what was in flight after the flush a part reaches the disk, chosen by this number; 0 for none of it.
    pub seed: u64,
}

/// A record of a journal, and the request that brought it to the disk first.
#[derive(Debug, PartialEq, Eq)]
pub struct Written {
    verb: String,
    step: Option<String>,
    request: usize,
}

/// The run in a log: its records and its flushes, from the first record of the hook's until a little after the last.
pub struct Run {
    written: Vec<Written>,
    flushes: Vec<usize>,
    /// The request by which dpkg has written a whole package beside its place; only then it tells which files it has.
    unpacking: usize,
    /// The last flush before the hook wrote anything.
    pub before: usize,
}

/// dpkg unpacks a package's files under names of their own first; nearly every package has this one.
const LAST_FILE: &[u8] = b"copyright.dpkg-new";
/// A file system flushes twice for one fsync: the data, then the record of the file's new size.
const DATA: usize = 0;
const DURABLE: usize = 1;
/// Flushes after the last record that are looked at, too.
const AFTERMATH: usize = 12;

impl Run {
    /// Looks through all that was written.
    pub fn find(log: &Log) -> Result<Self> {
        let mut written: Vec<Written> = Vec::new();
        let mut known = std::collections::HashSet::new();
        let mut unpacking = None;
        // The beginning of a record that goes on in another page.
        let mut half: Vec<u8> = Vec::new();
        for (request, _) in
            log.requests.iter().enumerate().filter(|(_, found)| found.length > 0 && !found.discard)
        {
            let Some(found) = log.requests.get(request) else { continue };
            let data = log.data(found)?;
            if unpacking.is_none() && data.windows(LAST_FILE.len()).any(|window| window == LAST_FILE) {
                unpacking = Some(request);
            }
            let joined = [&half, data.split(|byte| *byte == b'\n').next().unwrap_or_default()].concat();
            let mut found = records(&data);
            found.extend(tail(&joined).filter(|_| !half.is_empty()));
            if let Some(begun) = begun(&data) {
                half = begun;
            }
            for record in found {
                let step = record.field("step");
                let verb = record.verb.clone();
                if known.insert(record.line) {
                    written.push(Written { verb, step, request });
                }
            }
        }
        let flushes = log.flushes();
        let first = written.first().context("nothing of firstlight was recorded")?.request;
        let last = written.last().context("nothing of firstlight was recorded")?.request;
        let before = flushes.iter().rposition(|flush| *flush < first).context("no flush before the run")?;
        let after = flushes.iter().position(|flush| *flush > last).context("no flush after the run")?;
        ensure!(written.iter().any(|record| record.verb == "commit"), "the recorded run did not commit");
        let end = (after + AFTERMATH).min(flushes.len());
        Ok(Self {
            before: *flushes.get(before).context("no flush before the run")?,
            flushes: flushes.get(before..end).unwrap_or_default().to_vec(),
            written,
            unpacking: unpacking.context("dpkg unpacked nothing in the recorded run")?,
        })
    }

    /// Flushes that matter: around the records of one run, and with a part of what was in flight.
    pub fn few(&self) -> Result<Vec<Point>> {
        let packages = self.longest_step()?;
        let inside: Vec<usize> = self.between("intent", "observed", &packages)?;
        let at = |part: usize| inside.get(inside.len() * part / 4).copied().unwrap_or(self.before);
        let intents: Vec<&Written> = self.written.iter().filter(|record| record.verb == "intent").collect();
        let middle = intents.get(intents.len() / 2).and_then(|record| record.step.as_deref());
        let done = self.written.iter().rev().find(|record| record.verb == "done");
        let last = done.and_then(|record| record.step.as_deref());
        // The probe of reachability: its key is let in, its wires are laid.
        let probe = intents.last().and_then(|record| record.step.as_deref());
        let mut points = vec![
            self.point(self.flush_after("begin", None, DURABLE)?, 0),
            self.point(self.flush_after("intent", Some(&packages), DURABLE)?, 0),
            self.point(self.flush_from(self.unpacking, DURABLE)?, 0),
            self.point(self.flush_from(self.unpacking, DURABLE + 2)?, 0),
            self.point(at(1), 1),
            self.point(at(2), 0),
            self.point(at(3), 2),
            self.point(self.flush_before("observed", Some(&packages))?, 3),
            self.point(self.flush_after("intent", middle, DATA)?, 4),
            self.point(self.flush_after("done", last, DURABLE)?, 0),
            self.point(self.flush_after("observed", probe, DATA)?, 0),
            self.point(self.flush_after("commit", None, DATA)?, 5),
            self.point(self.flush_after("commit", None, DURABLE)?, 0),
        ];
        points.sort_by_key(|point| (point.flush, point.seed));
        Ok(points)
    }

    /// The flushes before and after every record, and of the others every so many that there are `others` of them.
    pub fn spread(&self, others: usize) -> Vec<Point> {
        let mut chosen = std::collections::BTreeSet::new();
        for record in &self.written {
            let next = self.flushes.partition_point(|flush| *flush < record.request);
            chosen.extend(
                self.flushes
                    .get(next.saturating_sub(1)..(next + 2).min(self.flushes.len()))
                    .unwrap_or_default(),
            );
        }
        chosen.extend(self.flushes.iter().step_by((self.flushes.len() / others.max(1)).max(1)));
        chosen.into_iter().map(|flush| self.point(flush, 0)).collect()
    }

    /// `count` states with a part of what was in flight, spread over the run.
    pub fn torn(&self, count: usize) -> Vec<Point> {
        let pick = |number: usize| self.flushes.get(number * self.flushes.len() / count.max(1)).copied();
        (0..count)
            .filter_map(|number| Some(self.point(pick(number)?, u64::try_from(number).ok()? + 100)))
            .collect()
    }

    /// How many records, and how many flushes.
    pub fn size(&self) -> (usize, usize) {
        (self.written.len(), self.flushes.len())
    }

    fn point(&self, flush: usize, seed: u64) -> Point {
        let last = self.written.iter().rev().find(|record| record.request < flush);
        let label = match last {
            None => "before the first record".to_owned(),
            Some(Written { verb, step: None, .. }) => format!("after {verb}"),
            Some(Written { verb, step: Some(step), .. }) => format!("after {verb} {step}"),
        };
        Point { flush, label, seed }
    }

    fn place(&self, verb: &str, step: Option<&str>) -> Result<usize> {
        let found =
            |record: &&Written| record.verb == verb && (step.is_none() || record.step.as_deref() == step);
        let record = self.written.iter().find(found);
        Ok(record
            .with_context(|| format!("the run has no record {verb} {}", step.unwrap_or_default()))?
            .request)
    }

    /// From this flush on the commit is durable: ext4 flushes once more for the record of the file's new size, and
    /// every file system has by the flush after that.
    pub fn committed(&self) -> Result<usize> {
        self.flush_after("commit", None, DURABLE)
    }

    fn flush_after(&self, verb: &str, step: Option<&str>, number: usize) -> Result<usize> {
        self.flush_from(self.place(verb, step)?, number)
    }

    fn flush_from(&self, place: usize, number: usize) -> Result<usize> {
        self.flushes
            .iter()
            .copied()
            .filter(|flush| *flush > place)
            .nth(number)
            .context("no flush after a record")
    }

    fn flush_before(&self, verb: &str, step: Option<&str>) -> Result<usize> {
        let place = self.place(verb, step)?;
        self.flushes.iter().copied().rfind(|flush| *flush < place).context("no flush before a record")
    }

    fn between(&self, from: &str, to: &str, step: &str) -> Result<Vec<usize>> {
        let (from, to) = (self.place(from, Some(step))?, self.place(to, Some(step))?);
        Ok(self.flushes.iter().copied().filter(|flush| (from..to).contains(flush)).collect())
    }

    /// The step with the most flushes between its intent and its end: the packages.
    fn longest_step(&self) -> Result<String> {
        let steps =
            self.written.iter().filter(|record| record.verb == "intent").filter_map(|it| it.step.clone());
        let length =
            |step: &String| self.between("intent", "observed", step).map_or(0, |inside| inside.len());
        steps.max_by_key(length).context("the run has no intent")
    }
}

/// The whole records in some data; where they begin does not matter.
fn records(data: &[u8]) -> Vec<journal::Record> {
    if !data.windows(4).any(|window| window == b"\tat=") {
        return Vec::new();
    }
    data.split(|byte| *byte == b'\n').filter_map(tail).collect()
}

/// A line of a journal that the data ends in the middle of.
fn begun(data: &[u8]) -> Option<Vec<u8>> {
    let last = data.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let lines = data.windows(4).any(|window| window == b"\tat=");
    (lines && last.last().is_some_and(|byte| *byte != 0)).then(|| last.to_vec())
}

/// The record that a line ends with: btrfs keeps small files among other things.
fn tail(line: &[u8]) -> Option<journal::Record> {
    let time = line.windows(4).position(|window| window == b"\tat=")?;
    let verb = line.get(..time)?.iter().rposition(|byte| *byte == b'\t')?;
    journal::record(line.get(verb.checked_sub(16)?..)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_goes_on_in_another_page_is_known_by_its_beginning() {
        assert_eq!(begun(b"0\tcommit\tat=1\n1\tdone\tat=").as_deref(), Some(&b"1\tdone\tat="[..]));
        assert_eq!(begun(b"0\tcommit\tat=1\n\0\0"), None);
        assert_eq!(begun(b"no journal"), None);
    }
}
