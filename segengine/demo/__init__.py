"""Tables to try the engine on: a real grocery data set, and a make-believe shop whose true segments are known."""
