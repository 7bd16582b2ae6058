//! How downloads are shown on stderr: a bar on a terminal, a line for each tenth elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use offramp_data::download::Observer;

use super::{BARS, REDRAW_INTERVAL};
use crate::output::say;
use crate::text::{bytes, escape_control};

/// The download being shown, one file after the other.
#[derive(Debug)]
pub(crate) struct Download {
    is_interactive: bool,
    bar: Option<ProgressBar>,
    file: String,
    total: Option<u64>,
    /// Tenths that lines have told of.
    tenths_told: u64,
}

impl Download {
    /// Begins with nothing to show; `is_interactive` where there is a terminal that can draw.
    pub(crate) const fn new(is_interactive: bool) -> Self {
        Self { is_interactive, bar: None, file: String::new(), total: None, tenths_told: 0 }
    }

    /// Takes the bar away.
    pub(crate) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Observer for Download {
    fn begins(&mut self, file: &str, done: u64, total: Option<u64>) {
        self.clear();
        let begun = if done > 0 { format!(", {} of it there already", bytes(done)) } else { String::new() };
        let size = total.map_or_else(String::new, |total| format!(" ({}{begun})", bytes(total)));
        if self.file != file {
            say(&format!("{}{size}", escape_control(file)));
        }
        file.clone_into(&mut self.file);
        self.total = total;
        self.tenths_told = total.map_or(0, |total| tenths(done, total));
        if self.is_interactive {
            let template = match total {
                Some(_) => "{bar:30} {bytes}/{total_bytes}  {bytes_per_sec}, {eta} left",
                None => "{spinner} {bytes}  {bytes_per_sec}",
            };
            let style = ProgressStyle::with_template(template).expect("a valid template").progress_chars("=> ");
            let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
            let bar = BARS.add(bar.with_style(style).with_position(done));
            bar.enable_steady_tick(REDRAW_INTERVAL);
            self.bar = Some(bar);
        }
    }

    fn advanced(&mut self, done: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        } else if let Some(total) = self.total
            && tenths(done, total) > self.tenths_told
        {
            self.tenths_told = tenths(done, total);
            say(&format!("{}: {} %", escape_control(&self.file), self.tenths_told * 10));
        }
    }

    fn says(&mut self, text: &str) {
        say(&escape_control(text));
    }

    fn pauses(&mut self, pause: Duration) {
        std::thread::sleep(pause);
    }
}

/// Tenths of a whole that are done.
fn tenths(done: u64, total: u64) -> u64 {
    (u128::from(done) * 10 / u128::from(total.max(1))) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenths_are_whole_and_do_not_overflow() {
        assert_eq!([tenths(0, 100), tenths(9, 100), tenths(10, 100), tenths(99, 100), tenths(100, 100)], [0, 0, 1, 9, 10]);
        assert_eq!(tenths(u64::MAX, u64::MAX), 10);
        assert_eq!(tenths(0, 0), 0);
    }
}
