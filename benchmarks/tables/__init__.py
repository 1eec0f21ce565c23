"""The headline tables: each made again by one command, from a config that is committed."""
