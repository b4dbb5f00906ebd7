"""Everything that decides: what is asked, who asks, where, may they, which object, with which effects."""
