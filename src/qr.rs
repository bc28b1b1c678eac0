//! QR codes (ISO/IEC 18004) of version 4 and 5 with error correction L, in byte mode: all that an `otpauth` URI of ours
//! needs. Both versions keep their data in a single block, have one alignment pattern and no version field, so that
//! nothing of the general case is left. A crate costs 16 KiB of the binary (docs/size.md).

mod draw;

pub use draw::Style;

/// Version, data codewords, error correction codewords.
const VERSIONS: [(usize, usize, usize); 2] = [(4, 80, 20), (5, 108, 26)];
/// Mode and length, in bits, and the terminator's share of a byte.
const OVERHEAD_BYTES: usize = 2;

/// The modules of a code, dark or light, without the quiet zone.
pub struct Code {
    size: usize,
    dark: Vec<bool>,
    /// Modules that are no data.
    fixed: Vec<bool>,
}

impl Code {
    /// The code of these bytes; `None` for more than 106, and for none at all.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let fits = |room: usize| !bytes.is_empty() && bytes.len() + OVERHEAD_BYTES <= room;
        let (version, room, checks) = VERSIONS.into_iter().find(|(_, room, _)| fits(*room))?;
        let mut words = codewords(bytes, room);
        let remainder = remainder(&words, checks);
        words.extend(remainder);
        let mut code = Self::blank(version);
        code.fill(&words);
        // Every mask can be read; the one that scanners like best is taken.
        let mask = (0..8).min_by_key(|mask| code.masked(*mask).penalty())?;
        Some(code.masked(mask))
    }

    /// Modules in a row.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether the module is dark; everything outside is light.
    pub fn is_dark(&self, x: usize, y: usize) -> bool {
        x < self.size && y < self.size && self.dark.get(y * self.size + x).copied().unwrap_or_default()
    }

    fn set(&mut self, x: usize, y: usize, dark: bool) {
        let place = y * self.size + x;
        if let (true, Some(module), Some(fixed)) =
            (x < self.size, self.dark.get_mut(place), self.fixed.get_mut(place))
        {
            *module = dark;
            *fixed = true;
        }
    }

    /// Finders, timing, alignment, and room for the format.
    fn blank(version: usize) -> Self {
        let size = 17 + 4 * version;
        let mut code = Self { size, dark: vec![false; size * size], fixed: vec![false; size * size] };
        for at in 0..size {
            code.set(6, at, at % 2 == 0);
            code.set(at, 6, at % 2 == 0);
        }
        let far = size - 4;
        for (x, y) in [(3, 3), (far, 3), (3, far)] {
            code.rings(x, y, 4, &[true, true, false, true, false]);
        }
        code.rings(size - 7, size - 7, 2, &[true, false, true]);
        code.format(0);
        code
    }

    /// Square rings around a middle, the innermost first.
    fn rings(&mut self, x: usize, y: usize, radius: usize, dark: &[bool]) {
        let around = |middle: usize| middle.saturating_sub(radius)..=middle + radius;
        for row in around(y) {
            for column in around(x) {
                let distance = column.abs_diff(x).max(row.abs_diff(y));
                self.set(column, row, dark.get(distance).copied().unwrap_or_default());
            }
        }
    }

    /// Level L and the mask with their check bits, twice, and the module that is always dark.
    fn format(&mut self, mask: u32) {
        let data = 1 << 3 | mask;
        let mut rest = data;
        for _ in 0..10 {
            rest = (rest << 1) ^ ((rest >> 9) * 0x537);
        }
        let bits = (data << 10 | rest) ^ 0x5412;
        for place in 0..15 {
            let dark = bits >> place & 1 == 1;
            // The one beside the upper left finder goes around its corner and steps over the timing.
            let near = |place: usize| if place < 6 { place } else { place + 1 };
            let (x, y) = match place {
                0..8 => (8, near(place)),
                8 => (7, 8),
                _ => (14 - place, 8),
            };
            self.set(x, y, dark);
            let (x, y) = if place < 8 { (self.size - 1 - place, 8) } else { (8, self.size - 15 + place) };
            self.set(x, y, dark);
        }
        self.set(8, self.size - 8, true);
    }

    /// Data in columns of two, from the lower right corner up and down.
    fn fill(&mut self, words: &[u8]) {
        let mut bits = words.iter().flat_map(|word| (0..8).rev().map(move |bit| word >> bit & 1 == 1));
        let columns = (0..self.size / 2).map(|pair| {
            let right = self.size - 1 - 2 * pair;
            // The timing has a column of its own.
            if right <= 6 { right - 1 } else { right }
        });
        for (pair, right) in columns.enumerate() {
            for step in 0..self.size {
                let y = if pair % 2 == 0 { self.size - 1 - step } else { step };
                for x in [right, right.saturating_sub(1)] {
                    let place = y * self.size + x;
                    if self.fixed.get(place) == Some(&false)
                        && let Some(module) = self.dark.get_mut(place)
                    {
                        *module = bits.next().unwrap_or_default();
                    }
                }
            }
        }
    }

    fn masked(&self, mask: u32) -> Self {
        let (mut dark, fixed) = (self.dark.clone(), self.fixed.clone());
        for (place, module) in dark.iter_mut().enumerate() {
            let (x, y) = (place % self.size, place / self.size);
            let flip = match mask {
                0 => (x + y) % 2,
                1 => y % 2,
                2 => x % 3,
                3 => (x + y) % 3,
                4 => (x / 3 + y / 2) % 2,
                5 => x * y % 2 + x * y % 3,
                6 => (x * y % 2 + x * y % 3) % 2,
                _ => ((x + y) % 2 + x * y % 3) % 2,
            };
            *module ^= flip == 0 && fixed.get(place) == Some(&false);
        }
        let mut code = Self { size: self.size, dark, fixed };
        code.format(mask);
        code
    }

    /// What makes a code hard to read: long runs, what looks like a finder, and blocks of one colour. The fourth rule of
    /// the standard, the balance of dark and light, decides hardly ever and is left out.
    fn penalty(&self) -> usize {
        let mut penalty = 0;
        for row in 0..self.size {
            let (mut across, mut down) = (0_u32, 0_u32);
            for column in 0..self.size {
                across = across << 1 | u32::from(self.is_dark(column, row));
                down = down << 1 | u32::from(self.is_dark(row, column));
                penalty += [across, down].into_iter().map(|line| found(line, column + 1)).sum::<usize>();
                let square = [(0, 0), (1, 0), (0, 1), (1, 1)];
                let dark = square.iter().filter(|(x, y)| self.is_dark(column + x, row + y)).count();
                let inside = column + 1 < self.size && row + 1 < self.size;
                if inside && dark % 4 == 0 {
                    penalty += 3;
                }
            }
        }
        penalty
    }
}

/// What ends at this module of a line whose last modules are bits.
fn found(line: u32, length: usize) -> usize {
    let same = |count: u32| line & ((1 << count) - 1) == 0 || line | (u32::MAX << count) == u32::MAX;
    let mut penalty = 0;
    if length >= 5 && same(5) {
        penalty += if length >= 6 && same(6) { 1 } else { 3 };
    }
    if length >= 11 && matches!(line & 0x7ff, 0b101_1101_0000 | 0b000_0101_1101) {
        penalty += 40;
    }
    penalty
}

/// Byte mode, the length, the bytes, and what fills the rest.
fn codewords(bytes: &[u8], room: usize) -> Vec<u8> {
    let length = bytes.len() as u8;
    let mut words = vec![0x40 | length >> 4];
    let mut last = length;
    for byte in bytes {
        words.push(last << 4 | byte >> 4);
        last = *byte;
    }
    words.push(last << 4);
    words.extend([0xec, 0x11].into_iter().cycle().take(room.saturating_sub(words.len())));
    words
}

/// Multiplies in the field of the standard: modulo x⁸ + x⁴ + x³ + x² + 1.
fn times(one: u8, other: u8) -> u8 {
    (0..8).rev().fold(0, |product: u8, bit| {
        let doubled = product << 1 ^ if product & 0x80 == 0 { 0 } else { 0x1d };
        if other >> bit & 1 == 1 { doubled ^ one } else { doubled }
    })
}

/// Reed-Solomon's check words.
fn remainder(words: &[u8], checks: usize) -> Vec<u8> {
    let mut divisor = vec![0; checks];
    if let Some(last) = divisor.last_mut() {
        *last = 1;
    }
    let mut root = 1;
    for _ in 0..checks {
        for place in 0..checks {
            let next = divisor.get(place + 1).copied().unwrap_or_default();
            if let Some(factor) = divisor.get_mut(place) {
                *factor = times(*factor, root) ^ next;
            }
        }
        root = times(root, 2);
    }
    let mut rest = vec![0; checks];
    for word in words {
        let factor = rest.remove(0) ^ word;
        rest.push(0);
        for (word, divisor) in rest.iter_mut().zip(&divisor) {
            *word ^= times(*divisor, factor);
        }
    }
    rest
}

#[cfg(test)]
#[path = "qr/tests.rs"]
mod tests;
