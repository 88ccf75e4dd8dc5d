using System.Globalization;
using System.Text;

namespace KvmSharp.Bench.Report;

/// <summary>Writes the elements of a chart. Coordinates are CSS pixels.</summary>
internal sealed class Svg
{
    private readonly StringBuilder _text = new();

    public Svg(double width, double height, string label) =>
        _text.Append(CultureInfo.InvariantCulture, $"<svg role=\"img\" aria-label=\"{Escape(label)}\" viewBox=\"0 0 {width:F0} {height:F0}\" width=\"{width:F0}\" height=\"{height:F0}\">\n");

    public static string Escape(string text) => text.Replace("&", "&amp;", StringComparison.Ordinal).Replace("<", "&lt;", StringComparison.Ordinal)
        .Replace(">", "&gt;", StringComparison.Ordinal).Replace("\"", "&quot;", StringComparison.Ordinal);

    public void Rect(double x, double y, double width, double height, string style) =>
        _text.Append(CultureInfo.InvariantCulture, $"<rect x=\"{x:F1}\" y=\"{y:F1}\" width=\"{width:F1}\" height=\"{height:F1}\" class=\"{style}\"/>\n");

    public void Line(double x1, double y1, double x2, double y2, string style) =>
        _text.Append(CultureInfo.InvariantCulture, $"<line x1=\"{x1:F1}\" y1=\"{y1:F1}\" x2=\"{x2:F1}\" y2=\"{y2:F1}\" class=\"{style}\"/>\n");

    public void Text(double x, double y, string text, string style) =>
        _text.Append(CultureInfo.InvariantCulture, $"<text x=\"{x:F1}\" y=\"{y:F1}\" class=\"{style}\">{Escape(text)}</text>\n");

    public void Curve(IEnumerable<(double X, double Y)> points, string style)
    {
        string list = string.Join(' ', points.Select(p => string.Create(CultureInfo.InvariantCulture, $"{p.X:F1},{p.Y:F1}")));
        _text.Append($"<polyline points=\"{list}\" class=\"{style}\"/>\n");
    }

    public string Finish() => _text.Append("</svg>\n").ToString();
}
