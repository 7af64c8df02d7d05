# What people do here. `just` alone lists it.

_list:
    @just --list --unsorted

# Start a gateway with people, resources and rules, and play the story
demo *args:
    cargo run --release -- demo {{args}}

# Run the gateway on ./quorate-data
run *args:
    cargo run --release -- serve {{args}}

# All tests, with the programs they need
test *args:
    tests/run {{args}}

# Two hours in which nobody can be told of ten thousand events, in simulated time
outage:
    QUORATE_OUTAGE_EVENTS=10000 cargo test --workspace --test e2e -- suites::outage

# A picture of every page, light and dark, wide and narrow
screenshots:
    cargo test --workspace --test screenshots

# What has to hold besides the tests
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo deny check licenses bans sources

# Flip each constant and comparison in the built-in policies; their vectors must notice
mutants *args:
    cargo run -p mutants -- {{args}}

# Known vulnerabilities; says so where the database cannot be fetched
advisories:
    @cargo deny check advisories || { echo "advisories were not checked, or some were found: see above" >&2; exit 1; }

# Every figure the documents name, and how soon people hear: that needs what `just test` fetches
bench *args:
    QUORATE_SMTP_SERVER="${QUORATE_SMTP_SERVER:-$PWD/target/smtp-server-3.21.6/node_modules}" cargo bench --workspace {{args}}

# One decision by the same rule in Cedar, Rego, CEL, Rhai and Lua, beside the component
peers *args:
    cargo run --release --manifest-path tests/peers/Cargo.toml -- {{args}}

# The built-in policies and examples as components, with their digests
policies:
    cargo build -p quorate-bundle
