"""`python -m devstack`: start, stop and look at the local Kafka and Redis."""

from devstack.stack import app

if __name__ == "__main__":
    app(prog_name="python -m devstack")
