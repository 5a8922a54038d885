"""These tests need TensorFlow: `make test-tensorflow` runs them, in an environment of its own. Elsewhere they are not collected."""

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("tensorflow") else ["*"]
