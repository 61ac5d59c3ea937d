from t2igan.reporting.latex import escape, latex_table


def test_latex_prints_text_as_it_is():
    assert escape("a_b & 50 %\n± [1] \\x") == r"a\_b \& 50 \% $\pm$ {[}1] \textbackslash{}x"
    table = latex_table("t", [["subject", "FD ↓"], ["a_b", "1.0"]], ["±: folds"])
    assert r"subject & FD $\downarrow$ \\" in table and r"a\_b & 1.0 \\" in table and r"{lr}" in table
    assert table.index(r"\toprule") < table.index(r"\midrule") < table.index(r"\bottomrule")
