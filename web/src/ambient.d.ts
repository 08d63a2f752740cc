declare module "words:nb" { const texts: Record<string, string | Record<string, string>>; export default texts; }
declare module "words:sv" { const texts: Record<string, string | Record<string, string>>; export default texts; }
declare module "words:da" { const texts: Record<string, string | Record<string, string>>; export default texts; }
declare module "words:en" { const texts: Record<string, string | Record<string, string>>; export default texts; }
