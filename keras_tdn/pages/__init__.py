"""What pages and pictures are made of: templates, plots, and pixels.

A page is a template in `templates/` and the function that gives it its values, which lies in the
package that the page is about. Pages need no other file and no network.
"""
