//! `sql`: reading with everything SQL has, writing with nothing.

use serde_json::json;

use crate::support::Place;

#[test]
fn rows_come_as_objects_and_as_a_table() {
    let place = Place::new();
    place.put("a");
    place.put("b");
    let query = "SELECT key, bytes FROM atoms ORDER BY key DESC";
    let rows = place.run(["sql", "store", query, "--json"]).json();
    assert_eq!(rows, json!([{"key": "b", "bytes": 3}, {"key": "a", "bytes": 3}]));
    assert_eq!(place.run(["sql", "store", query]).ok(), "key  bytes\nb        3\na        3\n2 rows\n");
    assert_eq!(place.run(["sql", "store", "SELECT 1 WHERE 0", "--json"]).json(), json!([]));
}

#[test]
fn values_of_every_kind_are_shown() {
    let place = Place::new();
    let query = "SELECT NULL AS n, -7 AS i, 1.5 AS r, 'é' AS t, x'00ff' AS b";
    let rows = place.run(["sql", "store", query, "--json"]).json();
    assert_eq!(rows, json!([{"n": null, "i": -7, "r": 1.5, "t": "é", "b": "00ff"}]));
}

// An object keeps one value per name; of two columns with one name the first was lost.
#[test]
fn columns_of_one_name_are_all_kept() {
    let place = Place::new();
    let rows = place.run(["sql", "store", "SELECT 1 AS x, 2 AS x, 3 AS x", "--json"]).json();
    assert_eq!(rows, json!([{"x": 1, "x:2": 2, "x:3": 3}]));
}

#[test]
fn whatever_changes_something_is_refused() {
    let place = Place::new();
    place.put("a");
    for query in [
        "DELETE FROM atoms",
        "UPDATE versions SET bytes = 0",
        "CREATE TABLE t (x)",
        "DROP VIEW atoms",
        "PRAGMA journal_mode = DELETE",
        "ATTACH 'other.db' AS other",
        "VACUUM INTO 'copy.db'",
        "SELECT 1; DELETE FROM atoms",
        "no sql at all",
        "",
    ] {
        let message = place.run(["sql", "store", query]).fails(1);
        assert!(message.contains("one SELECT over atoms") && message.contains("[InvalidArgument 4]"), "{message}");
    }
    assert_eq!(place.keys(), [json!("a")]);
    place.run(["verify", "store"]).ok();
}

#[test]
fn answers_with_too_many_rows_are_refused_with_advice() {
    let place = Place::new();
    let query = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
    let message = place.run(["sql", "store", query, "--row-limit", "10"]).fails(1);
    assert!(message.contains("more than 10 rows") && message.contains("LIMIT"), "{message}");
}
