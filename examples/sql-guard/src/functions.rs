//! Functions of PostgreSQL that only compute, in alphabetical order.
//!
//! A list of those that do harm could never be complete; this one may be short instead.
//! Not here: whatever sleeps, locks, sends, sets, or reaches files and other databases.

/// Sorted, for the search in it.
const ONLY_READ: [&str; 95] = [
    "abs",
    "age",
    "array_agg",
    "array_length",
    "array_to_string",
    "avg",
    "bit_length",
    "bool_and",
    "bool_or",
    "btrim",
    "cardinality",
    "ceil",
    "ceiling",
    "char_length",
    "character_length",
    "coalesce",
    "concat",
    "concat_ws",
    "count",
    "cume_dist",
    "current_catalog",
    "current_database",
    "current_date",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "date_bin",
    "date_part",
    "date_trunc",
    "dense_rank",
    "every",
    "first_value",
    "floor",
    "format_type",
    "greatest",
    "initcap",
    "json_agg",
    "json_build_array",
    "json_build_object",
    "json_object_agg",
    "jsonb_agg",
    "jsonb_array_length",
    "jsonb_build_array",
    "jsonb_build_object",
    "jsonb_object_agg",
    "jsonb_typeof",
    "lag",
    "last_value",
    "lead",
    "least",
    "left",
    "length",
    "localtime",
    "localtimestamp",
    "lower",
    "ltrim",
    "make_date",
    "max",
    "md5",
    "min",
    "mod",
    "mode",
    "now",
    "nth_value",
    "ntile",
    "nullif",
    "octet_length",
    "percent_rank",
    "percentile_cont",
    "percentile_disc",
    "position",
    "power",
    "rank",
    "replace",
    "reverse",
    "right",
    "round",
    "row_number",
    "rtrim",
    "session_user",
    "sign",
    "split_part",
    "sqrt",
    "starts_with",
    "string_agg",
    "strpos",
    "substr",
    "sum",
    "to_char",
    "to_date",
    "to_timestamp",
    "trunc",
    "upper",
    "version",
];

/// Whether `name`, as the database would look for it, only reads.
pub(crate) fn only_reads(name: &str, further: &[String]) -> bool {
    let usual = name.strip_prefix("pg_catalog.").unwrap_or(name);
    ONLY_READ.binary_search(&usual).is_ok() || further.iter().any(|known| known == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_every_name_in_it_is_found() {
        assert!(ONLY_READ.is_sorted());
        assert!(ONLY_READ.iter().all(|name| only_reads(name, &[])));
    }
}
