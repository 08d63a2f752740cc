"""Partners' systems are told of facts."""
