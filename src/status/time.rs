//! Points in time and durations as text. UTC only: a time zone file is 100 KiB we do not have.

/// Milliseconds since 1970 as `2026-08-01T10:02:44Z`.
pub fn iso(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// A duration for people: `0.1 s`, `41.2 s`, `3 min 07 s`, `2 h 05 min`.
pub fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    if seconds < 60 {
        return format!("{seconds}.{} s", milliseconds % 1000 / 100);
    }
    if seconds < 3600 {
        return format!("{} min {:02} s", seconds / 60, seconds % 60);
    }
    format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60)
}

/// Year, month and day of a day counted from 1970-01-01. Counts in years that begin in March, so that the leap
/// day is the last of its year (Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

/// `1 minute`, `6 minutes`.
pub fn minutes(count: u64) -> String {
    format!("{count} minute{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_seconds_have_their_known_dates() {
        let vectors = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_000_000_000, "2001-09-09T01:46:40Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (1_735_689_600, "2025-01-01T00:00:00Z"),
            (1_795_000_000, "2026-11-18T11:06:40Z"),
            (2_147_483_648, "2038-01-19T03:14:08Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ];
        for (seconds, text) in vectors {
            assert_eq!(iso(seconds * 1000 + 999), text, "{seconds}");
        }
    }

    #[test]
    fn durations_read_as_a_person_says_them() {
        let vectors = [
            (0, "0.0 s"),
            (149, "0.1 s"),
            (41_270, "41.2 s"),
            (60_000, "1 min 00 s"),
            (187_900, "3 min 07 s"),
            (7_500_000, "2 h 05 min"),
        ];
        for (milliseconds, text) in vectors {
            assert_eq!(duration(milliseconds), text);
        }
    }
}
