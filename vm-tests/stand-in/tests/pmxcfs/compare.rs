//! Makes two outputs comparable: times, process numbers and what belongs to the machine go.

use regex::Regex;

/// Replacements in every line.
const REPLACED: &[(&str, &str)] = &[
    (r"^[A-Z][a-z]{2} [A-Z][a-z]{2} [ 1-3]\d \d\d:\d\d:\d\d UTC \d{4}$", "NOW"),
    (r"^\d\d:\d\d:\d\d$", "NOW"),
    (r"\b[A-Z][a-z]{2} [ 1-3]\d \d\d:\d\d\b", "DATE"),
    (r"\b20(2[1-9])-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ \+0000", "STAMP"),
    (r#""(starttime|time|pid)": \d+"#, "\"$1\": N"),
    // Its size has the digits of a process number.
    (r"\d+ Jan  1  1970 \.clusterlog", "N .clusterlog"),
    (r"copied, .*", "copied"),
    (r"\.\.\., \d+1048576 bytes", "..., 1048576 bytes"),
    (r"corosync\.conf\.\w{6}'", "corosync.conf.XXXXXX'"),
    // Whether the process before still held it: a matter of half a second.
    (r"^\[main\] notice: unable to acquire pmxcfs lock - trying again", ""),
    // The recorded machine had no syslog.
    (r"^Unable to open syslog: .*", ""),
    (r"Type: fuse(blk)?", "Type: fuse"),
    // Other releases of coreutils have other words for the same refusal.
    (r"cannot (overwrite '[^']*'|move '[^']*' to '[^']*'): Directory not empty", "Directory not empty"),
    (r"cannot move '[^']*' to '[^']*': (Not a directory|No such file or directory)", "cannot move"),
    (r"preserving permissions for", "failed to preserve permissions for"),
    (r"^(real|user|sys)\t.*", ""),
    (r"^\+?pid \d+ ", ""),
];

/// The lines of an output; in their order unless the order is that of a hash.
pub fn lines(text: &str, ordered: bool) -> Vec<String> {
    let rules: Vec<(Regex, &str)> =
        REPLACED.iter().map(|(rule, by)| (Regex::new(rule).expect("a rule"), *by)).collect();
    let mut lines: Vec<String> = Vec::new();
    let mut total = 0;
    for line in text.lines() {
        let line =
            rules.iter().fold(line.to_owned(), |line, (rule, by)| rule.replace_all(&line, *by).into_owned());
        if line.starts_with("total ") {
            total = lines.len();
        }
        // The directory that the mount lies in: its links and blocks are the machine's.
        if line.ends_with(" ..") && line.contains(" root root ") {
            if let Some(line) = lines.get_mut(total) {
                "total".clone_into(line);
            }
            continue;
        }
        if !line.is_empty() {
            lines.push(line);
        }
    }
    if !ordered {
        lines.sort();
    }
    lines
}
