//! A bar that grows while something long is under way; nothing where nobody looks.

use indicatif::{ProgressBar, ProgressStyle};

use super::screen::Screen;

/// The bar.
pub(super) struct Bar(Option<ProgressBar>);

impl Bar {
    /// Begins at `done` out of `total`.
    pub(super) fn start(screen: &Screen, done: u64, total: u64) -> Self {
        let bar = screen.is_watched.then(|| {
            let bar = ProgressBar::new(total);
            if let Ok(style) = ProgressStyle::with_template(
                "{bar:30} {human_pos} of {human_len} decisions  {per_sec}  {eta} left  {msg}",
            ) {
                bar.set_style(style.progress_chars("━╸─"));
            }
            bar.set_position(done);
            bar.reset_eta();
            bar
        });
        Self(bar)
    }

    /// So much is done.
    pub(super) fn set(&self, done: u64, message: String) {
        if let Some(bar) = &self.0 {
            bar.set_position(done);
            bar.set_message(message);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
