# Two commands are all a newcomer needs: `make demo` and `make test`. Each first makes the Python
# environment if it is not there yet (.ci/environment says where and how).

RUN = @sh .ci/environment run

# What pytest gets: make test TEST_ARGS="tests/registry -x"
TEST_ARGS = -n 2 --dist loadscope

.DEFAULT_GOAL = help
.PHONY: help demo test oracle docs screenshots check lint format types ci environment clean

help:  ## say what can be made
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/^([a-z]+):.*## /\1|/' | \
		awk -F'|' '{ printf "make %-12s %s\n", $$1, $$2 }'

demo:  ## find the training examples behind the predictions of a small digit classifier
	$(RUN) sh .ci/demo

# One thread for each of the two workers.
test:  ## run the tests (TEST_ARGS="..." instead of "-n 2 --dist loadscope")
	@sh .ci/browser
	$(RUN) env OMP_NUM_THREADS="$${OMP_NUM_THREADS:-1}" python -m pytest $(TEST_ARGS)

oracle:  ## compare curvatures with those of curvlinops, which it installs
	$(RUN) python -m pip install --quiet --no-deps --requirement .ci/oracle.txt
	$(RUN) env OMP_NUM_THREADS="$${OMP_NUM_THREADS:-1}" python -m pytest -q tests/oracles

docs:  ## build the documentation in build/site; a warning is an error
	$(RUN) env OMP_NUM_THREADS="$${OMP_NUM_THREADS:-1}" NO_MKDOCS_2_WARNING=1 \
		python -m mkdocs build --strict

screenshots:  ## take the pictures of the documentation again, with Chromium
	@sh .ci/browser
	$(RUN) env PYTHONPATH=. OMP_NUM_THREADS="$${OMP_NUM_THREADS:-1}" python docs/screenshots.py

check: lint types  ## lint and types

lint:  ## look for mistakes and unformatted code
	$(RUN) ruff check --quiet .
	$(RUN) ruff format --check .

format:  ## repair what can be repaired, and format
	$(RUN) ruff check --fix --exit-zero --quiet .
	$(RUN) ruff format .

types:  ## check the types
	$(RUN) mypy

ci:  ## all that a change must pass
	@bash .ci/run

environment:  ## make the Python environment, and print where it is
	@sh .ci/environment

clean:  ## remove the environment, the demo's results and the caches
	@sh .ci/environment clean
	rm -rf runs/demo build dist hessinf.egg-info .mypy_cache .pytest_cache .ruff_cache
	find hessinf tests -name __pycache__ -type d -prune -exec rm -rf {} +
