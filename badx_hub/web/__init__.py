"""A local page, a JSON API and INCEpTION's recommender protocol over the stacks of a registry, in one server."""
