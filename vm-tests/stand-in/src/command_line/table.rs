//! Text tables as PVE::CLIFormatter draws them.

use serde_json::Value;

/// One column of a table.
#[derive(Clone, Copy)]
pub struct Column<'a> {
    /// The key in the objects.
    pub key: &'a str,
    /// The title.
    pub title: &'a str,
    /// True for numbers: they stand at the right.
    pub number: bool,
    /// Widest that is printed, if the schema says so.
    pub width: Option<usize>,
}

impl<'a> Column<'a> {
    /// A column of texts with the key as its title.
    pub const fn text(key: &'a str) -> Self {
        Self { key, title: key, number: false, width: None }
    }

    /// A column of numbers.
    pub const fn number(key: &'a str) -> Self {
        Self { key, title: key, number: true, width: None }
    }

    /// Sets the title.
    #[must_use]
    pub const fn title(mut self, title: &'a str) -> Self {
        self.title = title;
        self
    }

    /// Sets the greatest width.
    #[must_use]
    pub const fn width(mut self, width: usize) -> Self {
        self.width = Some(width);
        self
    }
}

/// How a table is drawn.
#[derive(Clone, Copy)]
pub struct Style {
    /// With lines around and between.
    pub border: bool,
    /// With a row of titles.
    pub header: bool,
    /// Sorted by the first column.
    pub sorted: bool,
}

/// A text as a terminal without UTF-8 gets it: lines of ASCII, and `?` for every other character.
pub fn in_ascii(text: &str) -> String {
    let letter = |letter: char| match letter {
        '─' => '-',
        '═' => '=',
        '│' => '|',
        '┌' | '┬' | '┐' | '├' | '┼' | '┤' | '╞' | '╪' | '╡' | '└' | '┴' | '┘' => '+',
        letter if letter.is_ascii() => letter,
        _ => '?',
    };
    text.chars().map(letter).collect()
}

/// The text of one value in a table.
pub fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(value)) => u8::from(*value).to_string(),
        Some(other) => other.to_string(),
    }
}

/// Draws a table of objects.
pub fn draw(rows: &[Value], columns: &[Column], style: Style) -> String {
    let mut rows: Vec<&Value> = rows.iter().collect();
    if let (true, Some(first)) = (style.sorted, columns.first()) {
        rows.sort_by(|one, other| order(one.get(first.key), other.get(first.key), first.number));
    }
    let cells: Vec<Vec<Vec<String>>> = rows
        .iter()
        .map(|row| columns.iter().map(|column| lines(&cell(row.get(column.key)))).collect())
        .collect();
    let widths: Vec<usize> =
        columns.iter().enumerate().map(|(index, column)| width(column, index, &cells)).collect();
    let drawing = Drawing { columns, widths, style };
    drawing.table(&cells)
}

fn order(one: Option<&Value>, other: Option<&Value>, number: bool) -> std::cmp::Ordering {
    if number {
        let value = |value: Option<&Value>| cell(value).parse::<f64>().unwrap_or_default();
        value(one).total_cmp(&value(other))
    } else {
        cell(one).cmp(&cell(other))
    }
}

/// The lines of a cell. Perl's split drops empty ones at the end.
fn lines(text: &str) -> Vec<String> {
    text.trim_end_matches('\n').split('\n').map(str::to_owned).collect()
}

fn width(column: &Column, index: usize, rows: &[Vec<Vec<String>>]) -> usize {
    let cells = rows.iter().filter_map(|row| row.get(index)).flatten().map(|line| line.chars().count());
    let longest = cells.chain([column.title.chars().count()]).max().unwrap_or_default();
    column.width.map_or(longest, |width| width.min(longest))
}

/// A table with known widths.
struct Drawing<'a> {
    columns: &'a [Column<'a>],
    widths: Vec<usize>,
    style: Style,
}

impl Drawing<'_> {
    fn table(&self, rows: &[Vec<Vec<String>>]) -> String {
        let mut text = String::new();
        if self.style.border {
            text.push_str(&self.rule(['┌', '─', '┬', '┐']));
        }
        if self.style.header {
            let titles: Vec<&str> = self.columns.iter().map(|column| column.title).collect();
            text.push_str(&self.line(&titles));
        }
        for (index, row) in rows.iter().enumerate() {
            if self.style.border && (index > 0 || self.style.header) {
                let double = index == 0;
                text.push_str(&self.rule(if double {
                    ['╞', '═', '╪', '╡']
                } else {
                    ['├', '─', '┼', '┤']
                }));
            }
            let height = row.iter().map(Vec::len).max().unwrap_or_default();
            for line in 0..height {
                let parts: Vec<&str> =
                    row.iter().map(|cell| cell.get(line).map(String::as_str).unwrap_or_default()).collect();
                text.push_str(&self.line(&parts));
            }
        }
        if self.style.border {
            text.push_str(&self.rule(['└', '─', '┴', '┘']));
        }
        text
    }

    fn rule(&self, [left, bar, joint, right]: [char; 4]) -> String {
        let bars: Vec<String> = self.widths.iter().map(|width| bar.to_string().repeat(width + 2)).collect();
        format!("{left}{}{right}\n", bars.join(&joint.to_string()))
    }

    fn line(&self, parts: &[&str]) -> String {
        let last = self.columns.len().saturating_sub(1);
        let cells = self.columns.iter().zip(&self.widths).zip(parts).enumerate();
        let cells: Vec<String> = cells
            .map(|(index, ((column, width), part))| {
                let part: String = part.chars().take(*width).collect();
                // Without a border the last column is not padded.
                match (column.number, !self.style.border && index == last) {
                    (_, true) => part,
                    (true, _) => format!("{part:>width$}"),
                    (false, _) => format!("{part:<width$}"),
                }
            })
            .collect();
        if self.style.border {
            format!("│ {} │\n", cells.join(" │ "))
        } else {
            format!("{}\n", cells.join(" "))
        }
    }
}
