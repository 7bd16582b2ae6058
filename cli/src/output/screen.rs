//! A part of the terminal that stdout is, drawn again and again.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often it is drawn again: drawing skips changes that follow each other closely.
const REDRAW_INTERVAL: Duration = Duration::from_millis(250);

/// Text that changes in place.
#[derive(Debug)]
pub(crate) struct Screen(ProgressBar);

impl Screen {
    /// Takes the rows below the cursor; `None` where stdout is no terminal that can draw.
    pub(crate) fn open() -> Option<Self> {
        let draws = super::table_width().is_some() && super::can_draw();
        draws.then(|| {
            let style = ProgressStyle::with_template("{msg}").expect("a valid template");
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout()).with_style(style);
            bar.enable_steady_tick(REDRAW_INTERVAL);
            Self(bar)
        })
    }

    /// Shows `text` in the place of what was shown before; as many of its lines as there is room for.
    pub(crate) fn show(&self, text: &str) {
        self.0.set_message(text.trim_end_matches('\n').to_owned());
    }

    /// Takes the text away.
    pub(crate) fn close(self) {
        self.0.finish_and_clear();
    }
}
