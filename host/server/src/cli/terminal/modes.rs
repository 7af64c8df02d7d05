//! What programs switch on in a terminal, so that it can be switched off for one that was
//! killed. A person whose pager was cut would otherwise never see why.

/// The modes that get in a person's way, by their numbers in `ESC [ ? … h` and `l`: cursor
/// keys, cursor off, mouse, focus, other screen, pasting.
const KNOWN: [u16; 13] = [1, 25, 47, 1000, 1002, 1003, 1004, 1006, 1015, 1047, 1049, 2004, 2026];
/// The one of them that is on in a terminal nobody touched: the cursor is shown.
const CURSOR: u16 = 25;

/// Follows the output of a terminal session.
#[derive(Debug, Default)]
pub(super) struct Modes {
    state: State,
    /// The numbers of the sequence under way.
    numbers: Vec<u16>,
    /// Those that are not as they were.
    changed: Vec<u16>,
    /// `ESC =`, the other half of what a pager does to the keys.
    keypad: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    Escape,
    Bracket,
    Numbers,
}

impl Modes {
    /// Reads what is about to be shown.
    pub(super) fn follow(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.state = match (self.state, byte) {
                (_, 0x1b) => State::Escape,
                (State::Escape, b'[') => State::Bracket,
                (State::Escape, b'=' | b'>') => {
                    self.keypad = byte == b'=';
                    State::Text
                }
                (State::Bracket, b'?') => {
                    self.numbers = vec![0];
                    State::Numbers
                }
                (State::Numbers, b'0'..=b'9') => {
                    if let Some(number) = self.numbers.last_mut() {
                        *number = number.saturating_mul(10).saturating_add(u16::from(byte - b'0'));
                    }
                    State::Numbers
                }
                // No program sets more at once; who sends more is not followed.
                (State::Numbers, b';') if self.numbers.len() < 16 => {
                    self.numbers.push(0);
                    State::Numbers
                }
                (State::Numbers, b'h' | b'l') => {
                    self.set(byte == b'h');
                    State::Text
                }
                _ => State::Text,
            };
        }
    }

    fn set(&mut self, on: bool) {
        for number in self.numbers.drain(..).filter(|number| KNOWN.contains(number)) {
            self.changed.retain(|other| *other != number);
            if on != (number == CURSOR) {
                self.changed.push(number);
            }
        }
    }

    /// What puts the terminal back; empty if nothing has to be.
    pub(super) fn undo(&mut self) -> Vec<u8> {
        let mut undo = Vec::new();
        for number in std::mem::take(&mut self.changed).into_iter().rev() {
            let how = if number == CURSOR { 'h' } else { 'l' };
            undo.extend(format!("\x1b[?{number}{how}").into_bytes());
        }
        if std::mem::take(&mut self.keypad) {
            undo.extend(b"\x1b>");
        }
        undo
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn undone(output: &[u8]) -> String {
        let mut modes = Modes::default();
        // Byte by byte: a sequence may come in pieces.
        for byte in output {
            modes.follow(&[*byte]);
        }
        let undo = String::from_utf8(modes.undo()).unwrap();
        assert_eq!(modes.undo(), b"");
        undo
    }

    #[test]
    fn what_a_pager_switched_on_is_switched_off() {
        assert_eq!(undone(b"\x1b[?1049h\x1b[22;0;0t\x1b[?1h\x1b=\rtext"), "\x1b[?1l\x1b[?1049l\x1b>");
        assert_eq!(undone(b"\x1b[?25l\x1b[?1000;1006h"), "\x1b[?1006l\x1b[?1000l\x1b[?25h");
    }

    #[test]
    fn what_a_program_put_back_itself_is_left_alone() {
        assert_eq!(undone(b"\x1b[?1049h\x1b[?25l\x1b= \x1b>\x1b[?25h\x1b[?1049l"), "");
        assert_eq!(undone(b"plain \x1b[1mbold\x1b[0m \x1b[?7h \x1b[?99999999999h \x1b[?;;;h"), "");
    }
}
