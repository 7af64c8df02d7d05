//! Lists in pages.

use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Problem;

/// Items on a page where the caller does not say.
const LIMIT_DEFAULT: usize = 50;
/// The most items on a page.
const LIMIT_MAX: usize = 200;
/// The longest cursor that is looked at.
const CURSOR_BYTES_MAX: usize = 200;

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Listed<T> {
    /// What is on the page.
    pub(super) items: Vec<T>,
    /// The `cursor` of the next page; none on the last.
    pub(super) next: Option<String>,
    /// How many there are on all pages.
    pub(super) total: u64,
}

impl<T> Listed<T> {
    /// The page as `shown` shows its items.
    pub(super) fn map<U>(self, shown: impl FnMut(T) -> U) -> Listed<U> {
        let items = self.items.into_iter().map(shown).collect();
        Listed { items, next: self.next, total: self.total }
    }
}

/// How many items the caller wants.
pub(super) fn limit(given: Option<usize>) -> Result<usize, Problem> {
    match given {
        None => Ok(LIMIT_DEFAULT),
        Some(limit) if (1..=LIMIT_MAX).contains(&limit) => Ok(limit),
        Some(limit) => Err(Problem::bad_request(format!("limit is {limit}: give 1 to {LIMIT_MAX}"))),
    }
}

/// Cuts a page out of everything there is. The cursor is the name of the last item
/// before the page.
pub(super) fn cut<T>(
    mut all: Vec<T>,
    name: impl Fn(&T) -> &str,
    given: Option<usize>,
    cursor: Option<&str>,
) -> Result<Listed<T>, Problem> {
    let limit = limit(given)?;
    if cursor.is_some_and(|cursor| cursor.len() > CURSOR_BYTES_MAX) {
        return Err(bad_cursor());
    }
    let total = all.len() as u64;
    all.sort_by(|one, other| name(one).cmp(name(other)));
    let skipped = cursor.map_or(0, |cursor| all.partition_point(|one| name(one) <= cursor));
    let mut items = all.split_off(skipped);
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|last| name(last).to_owned());
    Ok(Listed { items, next, total })
}

/// The cursor is none that a list gave.
pub(super) fn bad_cursor() -> Problem {
    Problem::bad_request("cursor: give what `next` said on the page before, or leave it out")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(limit: usize, cursor: Option<&str>) -> Listed<String> {
        let all = ["c", "a", "d", "b"].map(str::to_owned).to_vec();
        cut(all, String::as_str, Some(limit), cursor).unwrap()
    }

    #[test]
    fn pages_follow_each_other_without_gaps() {
        let first = page(3, None);
        assert_eq!((first.items.join(""), first.next.as_deref(), first.total), ("abc".into(), Some("c"), 4));
        let last = page(3, first.next.as_deref());
        assert_eq!((last.items.join(""), last.next, last.total), ("d".into(), None, 4));
        assert!(page(4, None).next.is_none());
    }

    #[test]
    fn a_limit_out_of_range_is_refused() {
        for bad in [0, 201, usize::MAX] {
            assert!(limit(Some(bad)).is_err());
        }
    }
}
