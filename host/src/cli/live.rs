//! A part of the terminal that is redrawn in place.

use std::io::{IsTerminal as _, Stderr, Write};

/// A line that wrapped would count as two, and the next drawing would begin too low.
const WRAP_OFF: &str = "\x1b[?7l";
const WRAP_ON: &str = "\x1b[?7h";

/// The last drawing must stay at the end of the output until [`Live::clear`].
pub(super) struct Live<W> {
    output: W,
    /// Lines of the last drawing.
    lines: usize,
}

impl Live<Stderr> {
    /// Progress, beside what is printed. None where standard error is no terminal, and nobody looks on.
    pub fn progress() -> Option<Self> {
        let output = std::io::stderr();
        output.is_terminal().then(|| Self::new(output))
    }
}

impl<W: Write> Live<W> {
    pub fn new(output: W) -> Self {
        Self { output, lines: 0 }
    }

    /// Replaces what was drawn before. What does not fit the width of the terminal is cut off there.
    pub fn draw(&mut self, text: &str) -> std::io::Result<()> {
        let mut drawing = self.home();
        drawing += WRAP_OFF;
        for line in text.lines() {
            // Clears the rest of the old line, without flicker.
            drawing += &format!("{line}\x1b[K\n");
        }
        drawing += "\x1b[J";
        drawing += WRAP_ON;
        self.lines = text.lines().count();
        self.output.write_all(drawing.as_bytes())?;
        self.output.flush()
    }

    /// Removes what was drawn.
    pub fn clear(&mut self) -> std::io::Result<()> {
        if self.lines == 0 { Ok(()) } else { self.draw("") }
    }

    /// Back to where the last drawing began.
    fn home(&self) -> String {
        if self.lines == 0 { String::new() } else { format!("\x1b[{}A\r", self.lines) }
    }
}

/// The number of lines of the terminal, or 24 if it is unknown.
pub(super) fn terminal_lines() -> usize {
    const USUAL: u16 = 24;
    crossterm::terminal::size().map_or(USUAL, |(_, lines)| if lines == 0 { USUAL } else { lines }).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_drawing_replaces_the_one_before() {
        let mut output = Vec::new();
        let mut live = Live::new(&mut output);
        live.draw("a\nb").unwrap();
        live.draw("c").unwrap();
        live.clear().unwrap();
        let written = String::from_utf8(output).unwrap();
        assert_eq!(written.matches(WRAP_OFF).count(), written.matches(WRAP_ON).count());
        let written = written.replace(WRAP_OFF, "").replace(WRAP_ON, "");
        assert_eq!(written, "a\x1b[K\nb\x1b[K\n\x1b[J\x1b[2A\rc\x1b[K\n\x1b[J\x1b[1A\r\x1b[J");
    }
}
