# Everything a person or a machine does with this repository. `make help` lists the targets.

CARGO  ?= cargo
PYTHON ?= python3
# Where downloads and demo stores go; removed by `make clean`.
DEMO   := .demo
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)

.DEFAULT_GOAL := help
.PHONY: help demo test unit lint fmt doc oracle python python-types python-with notebooks fuzz-smoke bench soak planted golden clean require cxx-tools install-c install-cxx clr clr-test clr-sql sql-parse clr-measure extension-package valgrind c-measure windows

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

require:
	@for tool in $(CARGO) $(PYTHON) cc c++ nm; do \
	  command -v $$tool >/dev/null || { echo "missing: $$tool (needed: Rust 1.95, Python 3.10, C and C++ compilers, binutils)"; exit 1; }; \
	done

demo: require ## Import a real model into a store on disk, damage a copy, export the identical file
	$(CARGO) build --release --package tensoratom-cli --bin tensoratom --example latency
	$(PYTHON) demo/demo.py --binaries target/release --work $(DEMO)

# What keeps one core busy runs beside another of its kind; the tests of the engine use all cores by themselves.
test: require lint unit .venv/ready ## All tests: lints, unit, model, crash, faults, processes, damage, oracles, fuzz
	$(MAKE) --jobs 2 --output-sync=line fuzz-smoke doc python clr-test oracle

unit: cxx-tools
	$(CARGO) test --workspace

lint: ## Formatting and lints, warnings denied
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

doc: ## API documentation, broken links denied
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps

oracle: .venv/ready ## Compare the block formats with the reference package
	.venv/bin/python engine/tests/python/gguf_oracle.py --check

python: .venv/ready ## The Python package: build it into .venv, compare its stubs, run its tests and notebooks
	.venv/bin/python ffi-python/develop.py
	cd ffi-python && ../.venv/bin/python -m pytest -q -p no:cacheprovider

python-types: .venv/ready ## Type checkers over a user's program: mypy --strict and pyright, installed into .venv
	.venv/bin/pip install --quiet --disable-pip-version-check mypy==1.18.2 pyright==1.1.406
	.venv/bin/python -c "import tensoratom" 2>/dev/null || .venv/bin/python ffi-python/develop.py
	cd ffi-python/tests && ../../.venv/bin/mypy --strict --python-executable ../../.venv/bin/python --cache-dir ../../target/mypy typed.py
	cd ffi-python/tests && ../../.venv/bin/pyright --pythonpath ../../.venv/bin/python typed.py

python-with: ## The Python tests under another Python and NumPy: make python-with PYTHON=python3.10 NUMPY='numpy<2'
	$(PYTHON) -m venv --clear target/python-with
	target/python-with/bin/pip install --quiet --disable-pip-version-check --requirement ffi-python/requirements.txt
	target/python-with/bin/pip install --quiet --disable-pip-version-check '$(or $(NUMPY),numpy)'
	target/python-with/bin/python ffi-python/develop.py
	cd ffi-python && ../target/python-with/bin/python -m pytest -q -p no:cacheprovider

.venv/ready: engine/tests/python/requirements.txt ffi-python/requirements.txt
	@$(PYTHON) -m venv .venv 2>/dev/null || { rm -rf .venv; \
	  apt-get update -qq && apt-get install -qqy python3-venv >/dev/null && $(PYTHON) -m venv .venv; } || \
	  { echo "missing: the venv module of $(PYTHON) (Debian: apt install python3-venv)"; exit 1; }
	.venv/bin/pip install --quiet --disable-pip-version-check $(addprefix --requirement ,$^)
	touch $@

cxx-tools:
	@for tool in cmake pkg-config c++; do command -v $$tool >/dev/null || missing=1; done; [ -z "$$missing" ] || \
	  { apt-get update -qq && apt-get install -qqy cmake pkg-config g++ >/dev/null; } || \
	  { echo "missing: cmake, pkg-config or g++ (Debian: apt install cmake pkg-config g++)"; exit 1; }

install-cxx: ## Install the C++ header, library, CMake package, pkg-config file, command: make install-cxx PREFIX=/usr/local
	$(CARGO) build --release --package tensoratom-cxx --package tensoratom-cli
	@release=$${CARGO_TARGET_DIR:-target}/release; \
	bridge=$$(ls -t $$release/build/tensoratom-cxx-*/out/cxxbridge/include/tensoratom-cxx/src/bridge.rs.h | head -n 1); \
	ffi-c/cxx/package/install.sh $$release/libtensoratom_cxx.a $$bridge \
	  $(VERSION) $$release/tensoratom

install-c: ## Install the C header, libraries, CMake package, pkg-config file: make install-c PREFIX=/usr/local
	$(CARGO) build --release --package tensoratom-c
	ffi-c/package/install.sh $${CARGO_TARGET_DIR:-target}/release $(VERSION)

# The in-process road into SQL Server on Windows, built and run here with Mono.
CLR := target/sqlclr
CLR_ENV = TENSORATOM_SQL_SOURCE=$(CURDIR) TENSORATOM_SQL_BUILD=$(CURDIR)/$(CLR) TENSORATOM_SQL_CONFIG=$(CURDIR)/$(CLR)/sql.conf

clr: require ## Build and sign the SQL CLR assembly for the library of this build; print the hash to trust
	@$(CARGO) libraries 2>&1 | awk '1; /^(warning|error)/ { failed = 1 } END { exit failed }' # what tests alone need is dead code here
	sqlclr-shim/clr/build.sh "$$($(CARGO) metadata --format-version 1 --no-deps | $(PYTHON) -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')/debug/libtensoratom.so" $(CLR)

clr-test: clr .venv/sqlglot ## Run the SQL CLR assembly as SQL Server would; parse and compare the SQL scripts
	$(CLR_ENV) mono $(CLR)/Tests.exe
	mkdir -p $(CLR)/sql && mono $(CLR)/Tests.exe sql $(CLR)/sql
	diff -u sqlclr-shim/sql/functions.sql $(CLR)/sql/functions.sql || { echo "run: make clr-sql"; exit 1; }
	.venv/bin/python sqlclr-shim/sql/check.py

clr-sql: clr ## Write the CREATE script anew from the assembly
	mono $(CLR)/Tests.exe sql sqlclr-shim/sql

sql-parse: clr .venv/ready ## Run the SQL scripts through Microsoft's own parser (downloads 38 MB; not part of `make test`)
	sqlclr-shim/sql/parser/parse.sh .venv/bin/pip target/sql-parse

extension-package: require ## Pack the language extension for CREATE EXTERNAL LANGUAGE, with its script, into target/extension
	$(CARGO) build --release --package tensoratom-extension
	sqlclr-shim/extension/package.sh $${CARGO_TARGET_DIR:-target}/release/libtensoratom_extension.so target/extension

windows: ## Build for Windows with Debian's packages alone, run the tests under wine (installs 1.5 GB; not part of `make test`)
	windows/run.sh

valgrind: ## The tests in C under valgrind, without the address sanitizer
	@command -v valgrind >/dev/null || { apt-get update -qq && apt-get install -qqy valgrind >/dev/null; } || \
	  { echo "missing: valgrind (Debian: apt install valgrind)"; exit 1; }
	TENSORATOM_C_VALGRIND=1 $(CARGO) test --package tensoratom-c --test c

c-measure: ## Cost of calls through the C interface and the language extension, against the same work without them
	ffi-c/bench/run.sh

# With the library as it is shipped, in a folder of its own: the hash in the assembly is that of its library.
clr-measure: CLR := target/sqlclr-measure
clr-measure: RELEASE := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)/release
clr-measure: require ## Cost of calls, payloads and aggregates through C and through the SQL CLR assembly
	$(CARGO) build --release --package tensoratom-c
	sqlclr-shim/clr/build.sh $(RELEASE)/libtensoratom.so $(CLR)
	cc -std=gnu11 -O2 -Wall -Werror -I ffi-c/include sqlclr-shim/clr/tools/measure.c $(RELEASE)/libtensoratom.so -Wl,-rpath,$(RELEASE) -o $(CLR)/measure
	rm -rf $(CLR)/measured && $(CLR)/measure $(CLR)/measured
	$(CLR_ENV) mono $(CLR)/Tests.exe measure

.venv/sqlglot: sqlclr-shim/sql/requirements.txt | .venv/ready
	.venv/bin/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

notebooks: .venv/ready ## Run the example notebooks and keep what they show
	.venv/bin/python ffi-python/develop.py
	.venv/bin/python ffi-python/notebooks.py

fmt: ## Format everything
	$(CARGO) fmt --all

fuzz-smoke: ## Each fuzz target for 10 s, where a nightly toolchain is present
	@fuzz/smoke.sh 10

bench: ## Benchmarks against LMDB, redb, SQLite and safetensors; raw numbers under benches/results
	benches/run.sh

soak: ## Power cuts, kills, damage and model tests with ever new seeds: make soak HOURS=8
	engine/tests/soak.sh $(or $(HOURS),1)

planted: ## Plant known bugs into a copy of the engine, one by one, and see that the tests catch each
	$(PYTHON) engine/tests/planted.py

golden: ## Write the golden stores of the present format to target/golden (for a new format version)
	$(CARGO) run --package tensoratom --features testing --example golden target/golden

clean: ## Remove build products, downloads, demo stores
	$(CARGO) clean
	rm -rf $(DEMO) .venv fuzz/target benches/compare/target
